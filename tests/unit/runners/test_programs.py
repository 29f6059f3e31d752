"""What is fetched: plain files of an archive, below the folder that was asked for."""

import io
import subprocess
import tarfile
from pathlib import Path, PurePosixPath

import pytest

from runners.programs import ProgramFailed, extract, run_program, unpack_package


def archive(path: Path, **kinds: bytes) -> Path:
    """A .tar.gz with these members, by name: a link where the content begins with `->`."""
    with tarfile.open(path, "w:gz") as made:
        for name, content in kinds.items():
            member = tarfile.TarInfo(name)
            if content.startswith(b"->"):
                member.type, member.linkname = tarfile.SYMTYPE, content[2:].decode()
                made.addfile(member)
            else:
                member.size = len(content)
                made.addfile(member, io.BytesIO(content))
    return path


def test_only_plain_files_of_the_folder_come_out(tmp_path: Path) -> None:
    members = {
        "p-1/deps/lib/a.jar": b"a",
        "p-1/deps/b.txt": b"b",
        "p-1/other": b"no",
        "p-1/deps/../../outside": b"no",
        "/p-1/deps/absolute": b"no",
        "p-1/deps/link": b"->/etc/passwd",
        "p-1/deps/loop": b"->..",
        "p-1/deps/loop/outside": b"below a link that is left out",
    }
    path = archive(tmp_path / "p.tar.gz", **members)
    with tarfile.open(path) as opened:
        extract(opened, PurePosixPath("p-1/deps"), tmp_path / "out")
    found = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert found == {"p.tar.gz", "out/lib/a.jar", "out/b.txt", "out/loop/outside"}


def test_a_package_is_there_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        folder = Path(command[command.index("-d") + 1])
        archive(folder / "p-1.tar.gz", **{"p-1/deps/a": b"a"})
        return subprocess.CompletedProcess(command, code, "trying\nno network\n")

    monkeypatch.setattr(subprocess, "run", download)
    code = 1
    with pytest.raises(ProgramFailed, match="cannot download p 1: no network"):
        unpack_package("p", "1", "deps", tmp_path / "cache" / "p")
    assert not (tmp_path / "cache" / "p").exists()
    code = 0
    unpack_package("p", "1", "deps", tmp_path / "cache" / "p")
    assert (tmp_path / "cache" / "p" / "a").read_bytes() == b"a"
    code = 1
    unpack_package("p", "1", "deps", tmp_path / "cache" / "p")  # nothing is downloaded again


def test_a_program_that_is_not_there_is_a_sentence() -> None:
    with pytest.raises(ProgramFailed, match=r"cannot look: .*/nowhere/program"):
        run_program("look", ["/nowhere/program"])
