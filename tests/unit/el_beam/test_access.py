"""Who may read what is written: docs/access.md."""

from __future__ import annotations

import errno
import gzip
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from el_beam import cli
from el_beam.books.folder import make_private
from el_beam.commands import check
from el_beam.config.options import modes
from transforms import layout
from transforms.io.files import filesystem
from transforms.io.files.filesystem import Modes, making
from transforms.io.files.hdfs import HdfsFiles
from transforms.io.world import Clock

SAMPLE = Path(cli.__file__).parents[1] / "examples/sample.log.gz"
SCHEMAS = Path(cli.__file__).parents[1] / "schemas/catalog"
NONAME = 12345


@pytest.fixture(autouse=True)
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder that all can enter, and the usual umask."""
    before = os.umask(0o022)
    tmp_path.chmod(0o755)
    (tmp_path / "log").write_bytes(sample(0, 300))
    yield tmp_path
    os.umask(before)


def sample(first: int, end: int) -> bytes:
    lines = gzip.decompress(SAMPLE.read_bytes()).splitlines(keepends=True)
    return b"".join(lines[first:end])


def bits(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def found(root: Path) -> dict[str, set[int]]:
    """The modes of what is below a folder, by the name of what is next to it."""
    modes: dict[str, set[int]] = {}
    for path in root.rglob("*"):
        top = path.relative_to(root).parts[0].partition("_")[0]
        modes.setdefault(f"{top} {'folder' if path.is_dir() else 'file'}", set()).add(bits(path))
    return modes


def run(place: Path, *words: str, log: str = "log") -> None:
    sinks = (f"parquet:{place}/p", f"raw:{place}/r")
    assert cli.main(["run", f"file:{place}/{log}", *sinks, *words]) == 0


def test_new_folders(place: Path) -> None:
    run(place)
    events = found(place / "p")
    assert events["EventError folder"] == {0o750} and events["EventError file"] == {0o640}
    assert events["Edit folder"] == {0o755} and events["Edit file"] == {0o644}
    assert bits(place / "p") == 0o755
    raw = found(place / "r")
    assert bits(place / "r") == 0o750
    assert raw["year=2019 folder"] == {0o750} and raw["year=2019 file"] == {0o640}
    assert raw[" file"] == {0o640} and raw[" folder"] == {0o750}  # of its ledger


def test_what_is_there_keeps_its_readers(place: Path) -> None:
    """New hours of an archive, and of EventErrors, that all could read before."""
    for name in ("r", "p/EventError_14035058"):
        (place / name).mkdir(parents=True)
    run(place)
    assert found(place / "r")["year=2019 file"] == {0o644}
    events = found(place / "p")
    assert events["EventError file"] == {0o644} and events["EventError folder"] == {0o755}
    assert bits(place / "r") == 0o755


def test_what_is_asked_for(place: Path) -> None:
    (place / "p").mkdir(mode=0o700)
    run(place, "--mode", "events=0664,private=0600")
    raw = found(place / "r")
    assert bits(place / "r") == 0o700 and raw["year=2019 file"] == {0o600}
    events = found(place / "p")
    assert events["EventError file"] == {0o600}


def test_events_are_as_asked_for(place: Path) -> None:
    run(place, "--mode", "events=0664")
    events = found(place / "p")
    assert events["Edit file"] == {0o664} and events["Edit folder"] == {0o775}
    assert events["EventError file"] == {0o640}
    assert found(place / "r")["year=2019 file"] == {0o640}


HOURS = ("--from", "2019-03-10", "--to", "2019-03-10")
CHANGES = {
    "compact": ("compact", "P/p"),
    "purge": ("purge", "P/p", "--older-than", "90d", "--keep", "P/keep.yaml", "--yes"),
    "backfill": ("backfill", "apply", "P/r", "parquet:P/p", *HOURS),
    "replay": ("bad", "replay", "parquet:P/p", "parquet:P/p", "--schemas", "P/schemas", "--apply"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_takes_the_place_of_files_is_like_them(place: Path, change: str) -> None:
    """Whoever could read the import's files, and nobody else, reads those that replace them."""
    schemas, asked = place / "schemas", ("--mode", "events=0664,private=0660")
    shutil.copytree(SCHEMAS, schemas)
    edit = (schemas / "Edit/17541122.json").read_text()
    (schemas / "Edit/17541122.json").write_text(json.dumps({"properties": {"event": {"type": 7}}}))
    run(place, *asked, "--schemas", str(schemas))
    (schemas / "Edit/17541122.json").write_text(edit)
    (place / "log2").write_bytes(sample(300, 400))
    run(place, *asked, log="log2")
    for path in (place / "p").glob("NavigationTiming_*/**/*.parquet"):
        path.chmod(0o600)  # what somebody has closed stays so
    (place / "keep.yaml").write_text("Popups: [event.action]\nNavigationTiming: []\n"
                                     "EventError: [event.code]\n")  # fmt: skip
    before = {path: bits(path) for path in (place / "p").glob("*_*/**/*.parquet")}
    assert cli.main([word.replace("P/", f"{place}/") for word in CHANGES[change]]) == 0
    new = {path: bits(path) for path in (place / "p").glob("*_*/**/*.parquet")
           if path not in before and "_replaced" not in path.parts}  # fmt: skip
    wanted = {"NavigationTiming": 0o600, "EventError": 0o660}
    assert {path.name: bits for path, bits in new.items()} == {
        path.name: wanted.get(path.relative_to(place / "p").parts[0].partition("_")[0], 0o664)
        for path in new
    }
    assert new


@pytest.mark.parametrize(
    "value",
    ["", "644", "events", "events=", "events=888", "events=0755", "private=0040", "nope=0644",
     "events=1644", "events=0644,events=0644", "events=0o644", "private=-640"],
)  # fmt: skip
def test_nonsense_is_refused_at_once(
    value: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match=r"mode|files are written"):
        modes(value)
    call = ["run", f"file:{place}/log", f"parquet:{place}/p", "--mode", value]
    assert cli.main(call) == 2 and "--mode" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        hours = ("--from", "2019-03-10", "--to", "2019-03-10")
        cli.main(["backfill", "plan", "/r", "parquet:/p", *hours, "--mode", value])
    assert ended.value.code == 2


def test_a_state_is_of_its_group(place: Path) -> None:
    make_private(f"{place}/state")
    filesystem.make_folder(f"{place}/state/topics/raw")
    filesystem.create(f"{place}/state/topics/raw/1.json", b"{}")
    assert found(place / "state") == {"topics folder": {0o750}, "topics file": {0o640}}
    make_private(str(place))
    assert bits(place) == 0o755, "what is there stays as it is"


def test_a_disk_without_permissions(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What can go on goes on; what people have asked for fails, with the path."""

    def refused(*_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    for name in ("fchmod", "fchown"):
        monkeypatch.setattr(os, name, refused)
    make_private(f"{place}/state")
    filesystem.write(f"{place}/state/x", b"x")
    with making(Modes(private=0o600)), pytest.raises(OSError, match="not permitted") as error:
        make_private(f"{place}/other")
    assert error.value.filename == f"{place}/other"


def test_a_stricter_umask_counts(place: Path) -> None:
    os.umask(0o077)
    run(place)
    assert bits(place / "r") == 0o700
    assert found(place / "r")["year=2019 file"] == {0o600}


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives folders away")
def test_the_group_is_that_of_the_folder(place: Path) -> None:
    os.chown(place, -1, NONAME)
    make_private(f"{place}/state")
    filesystem.create(f"{place}/state/x", b"")
    assert {each.stat().st_gid for each in (place / "state", place / "state/x")} == {NONAME}


@pytest.mark.skipif(os.getuid() != 0, reason="only root becomes somebody else")
@pytest.mark.parametrize("member", [True, False])
def test_readers_of_a_folder_that_we_are_not_of(place: Path, member: bool) -> None:
    """Its group reads what we write there: as its group, or else as others, as before."""
    folder = place / "data"
    folder.mkdir(mode=0o750)
    folder.chmod(0o750)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.chdir(folder)  # pytest's own can't be entered by others
            os.chown(".", NONAME, NONAME + 1)
            os.setgroups([NONAME + 1] if member else [])
            os.setgid(NONAME)
            os.setuid(NONAME)
            filesystem.write("./x", b"x")
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    os.chown(folder, 0, 0)  # root may not be almighty in a container
    status = (folder / "x").stat()
    wanted = (NONAME + 1, 0o640) if member else (NONAME, 0o644)
    assert (status.st_gid, stat.S_IMODE(status.st_mode)) == wanted


def test_names_of_private_folders() -> None:
    """`filesystem` knows them, though it knows no layout."""
    for name in (layout.TEMPORARY, layout.REPLACED, "EventError_14035058"):
        with making(Modes(private=0o600)):
            assert filesystem._PRIVATE.fullmatch(name)


def test_check_names_an_archive_that_all_can_read() -> None:
    with tempfile.TemporaryDirectory(
        dir="/tmp"
    ) as place:  # whose parents are open, unlike pytest's
        Path(place).chmod(0o755)
        Path(place, "open").mkdir()
        make_private(f"{place}/closed")
        levels = [each.level for each in check.access([f"{place}/open", f"{place}/closed"])]
        assert levels == ["problem", "ok"]


class _NameNode:
    """What WebHDFS says of folders and files, and what it is asked to make."""

    def __init__(self) -> None:
        self.there = {"/": "755", "/el": "755", "/el/raw": "750", "/el/raw/f": "640",
                      "/shut": "700", "/shut/raw": "755"}  # fmt: skip
        self.made: dict[str, str | None] = {}

    def status(self, path: str, strict: bool) -> dict[str, str] | None:
        return {"permission": self.there[path]} if path in self.there else None

    def makedirs(self, path: str, permission: str | None) -> None:
        self.made[path] = permission

    def write(self, path: str, data: bytes, overwrite: bool, permission: str | None) -> None:
        self.made[path] = permission


class _Later(Clock):
    now = 0.0

    def monotonic(self) -> float:
        return self.now


def test_on_hdfs() -> None:
    """Permissions are asked for, as they are then, and sent along."""
    root, node = "hdfs://loader@h:1", _NameNode()
    files = HdfsFiles("loader@h:1")
    files.client, files.clock = node, (clock := _Later())
    with filesystem.mount(root, files):
        open_ = [filesystem.open_to_others(f"{root}{each}") for each in ("/el/raw", "/shut/raw")]
        assert open_ == [False, False] and filesystem.open_to_others(f"{root}/none") is None
        filesystem.write(f"{root}/el/new", b"", like=[f"{root}/el/raw/f", f"{root}/el/raw/gone"])
        filesystem.write(f"{root}/el/EventError_1/new", b"")
        filesystem.write(f"{root}/el/Edit_1/new", b"")
        assert [*node.made.values()] == ["640", "640", None]
        assert files.access(f"{root}/el/Edit_1/day") is None
        assert files.access(f"{root}/el/Edit_2") is None
        filesystem.make_folder(f"{root}/el/Edit_1/day")
        filesystem.write(f"{root}/el/Edit_2/day/hour/file", b"")
        node.there |= {"/el/Edit_1": "755", "/el/Edit_1/day": "700", "/el/Edit_2": "755"}
        assert files.access(f"{root}/el/Edit_1/day") == (0o700, None)
        assert files.access(f"{root}/el/Edit_2") == (0o755, None)
        node.there["/el/raw"] = "755"
        clock.now = 61.0
        assert filesystem.open_to_others(f"{root}/el/raw")
