"""`cli.main`: the one place where errors are printed and become exit codes."""

import argparse
import gc
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from el_beam import cli
from el_beam.commands.common import WRONG_CALL
from el_beam.config.options import ConfigError
from el_beam.running.failures import JobFailed
from runners.flink_rest import FlinkAway
from runners.spark import SparkAway
from schemas.errors import ElBeamError, WrongCall
from schemas.registry import RegistryUnavailable
from transforms.errors import SinkError
from transforms.io.files.base import FileAway
from transforms.io.kafka.errors import KafkaAway
from transforms.io.mysql.client import DatabaseAway, TableLocked

ROOT = Path(cli.__file__).parents[1]
GOES_ON = "; the same command goes on where it was"


class Toy:
    """A command that fails as it is told."""

    def __init__(self, error: BaseException | None, **defaults: Any) -> None:
        self.error, self.defaults = error, defaults

    def register(self, add_parser: Any) -> None:
        action = add_parser().add_subparsers().add_parser("play")
        action.add_argument("--yes", action="store_true")
        action.set_defaults(command=self.command, **self.defaults)

    def command(self, args: argparse.Namespace) -> int:
        if hasattr(args, "scratch"):
            Path(args.scratch, "temporary").touch()
        if self.error:
            raise self.error
        return 0


Call = Callable[..., tuple[int, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Calls `el toy play`; returns the exit code and what people read."""

    def run(error: BaseException | None, *options: str, **defaults: Any) -> tuple[int, str]:
        monkeypatch.setitem(cli.COMMANDS, "toy", "a command of this test")
        monkeypatch.setitem(sys.modules, "el_beam.commands.toy", Toy(error, **defaults))
        code = cli.main(["toy", "play", *options])
        return code, capsys.readouterr().err

    return run


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (None, 0, ""),
        (ElBeamError("it is full"), 1, "el toy play: it is full\n"),
        (WrongCall("no \x1b[31m\nhere"), 2, "el toy play: no \\x1b[31m\\nhere\n"),
        (ConfigError(["one", "two"]), 2, "el toy play: one\nel toy play: two\n"),
        (FileAway("it doesn't answer"), 1, "el toy play: it doesn't answer\n"),
        (FileNotFoundError(2, "No such file", "/a"), 1, "el toy play: /a: No such file\n"),
        (OSError("all wrong"), 1, "el toy play: all wrong\n"),
        (KeyboardInterrupt(), 1, "el toy play: interrupted\n"),
        (BrokenPipeError(), 1, ""),
    ],
)
def test_an_error_is_a_sentence_and_a_code(
    call: Call, error: BaseException | None, code: int, says: str
) -> None:
    assert call(error) == (code, says)


@pytest.mark.parametrize("error", [SinkError("full"), OSError("full"), KeyboardInterrupt()])
def test_a_command_that_goes_on_says_so(call: Call, error: BaseException) -> None:
    says = str(error) or "interrupted"
    goes_on = {"goes_on": lambda args: args.yes}
    assert call(error, "--yes", **goes_on) == (1, f"el toy play: {says}{GOES_ON}\n")
    assert call(error, **goes_on) == (1, f"el toy play: {says}\n")
    assert call(WrongCall("no"), "--yes", **goes_on) == (2, "el toy play: no\n")


@pytest.mark.parametrize("error", [SinkError("away"), OSError("away"), KeyError("away")])
def test_where_1_is_an_answer_a_failure_is_2(call: Call, error: BaseException) -> None:
    assert call(error, fault=WRONG_CALL)[0] == 2


@pytest.mark.parametrize(
    ("error", "first"),
    [
        (KeyError("a\x1bb"), "el toy play: unexpected: KeyError: 'a\\x1bb'"),
        (JobFailed("unexpected: KeyError", "Traceback of a worker"), "el toy play: unexpected:"),
    ],
)
def test_a_bug_is_a_sentence_and_a_file_of_details(
    call: Call, error: BaseException, first: str
) -> None:
    code, err = call(error)
    sentence, where = err.splitlines()
    assert code == 1 and sentence.startswith(first)
    file = Path(where.removeprefix("el toy play: details are in "))
    assert "Traceback" in file.read_text()
    file.unlink()


def test_a_command_that_cannot_be_imported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "el_beam.commands.ledger", raising=False)
    monkeypatch.setitem(sys.modules, "el_beam.books.ledger.audit", None)
    assert cli.main(["ledger", "nowhere"]) == WRONG_CALL
    sentence, where = capsys.readouterr().err.splitlines()
    assert sentence.startswith("el: unexpected: ModuleNotFoundError: ")
    Path(where.removeprefix("el: details are in ")).unlink()


def test_the_scratch_folder_goes(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert call(None)[0] == 0 and call(SinkError("full"))[0] == 1
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("needs", [False, True])
def test_without_a_temporary_folder(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, needs: bool
) -> None:
    """On a full disk, or a read-only one, people can still purge and check."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "not there"))
    code, said = call(None, needs_scratch=needs)
    assert (code, "No such file" in said, "Traceback" in said) == (needs, needs, False)


@pytest.mark.parametrize("errors", ["", " 2>&1"])
def test_a_reader_who_goes_hears_no_complaint(errors: str) -> None:
    call = f"'{sys.executable}' -m el_beam.cli schema show Edit{errors} | true; "
    call += "exit ${PIPESTATUS[0]}"
    found = subprocess.run(["bash", "-c", call], capture_output=True, text=True, cwd=ROOT)
    assert (found.returncode, found.stdout, found.stderr) == (1, "", "")


@pytest.mark.parametrize(
    "error",
    [DatabaseAway, FileAway, FlinkAway, KafkaAway, RegistryUnavailable, SparkAway, TableLocked],
)
def test_what_passes_is_transient_and_no_wrong_call(error: type[ElBeamError]) -> None:
    assert error.transient and error.exit_code == 1
    assert not WrongCall.transient and not SinkError.transient


def test_a_process_of_its_own_leaves_its_garbage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python looks for garbage in all that is left as it ends: in Beam that takes 0.7 s."""
    monkeypatch.setattr(sys, "argv", ["el", "schema", "list"])
    try:
        assert cli.entry() == 0
        assert gc.get_freeze_count()
    finally:
        gc.unfreeze()
    assert cli.main(["schema", "list"]) == 0  # as a library
    assert not gc.get_freeze_count()
