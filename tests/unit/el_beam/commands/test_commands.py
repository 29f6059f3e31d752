"""Every command of `el` has help, gives a wrong call one sentence and exit code 2, lets no
terminal escape through, and imports Beam only where it runs a job."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from el_beam import cli

ROOT = Path(cli.__file__).parents[1]
WIDTH = 80  # columns
ESCAPE = "\x1b[31m"
HOURS = ("--from", "2019-03-10", "--to", "2019-03-10")

WRONG: dict[str, tuple[str, ...]] = {
    "el run": (f"foo{ESCAPE}:x", "jsonl:/nowhere/x"),
    "el backfill plan": (f"foo{ESCAPE}://x", "parquet:/nowhere/x", *HOURS),
    "el backfill apply": ("/nowhere/raw", f"foo:{ESCAPE}", *HOURS),
    "el bad list": (f"foo:{ESCAPE}",),
    "el bad replay": (f"parquet:/nowhere/{ESCAPE}", "jsonl:/nowhere/x"),
    "el check": (f"foo:{ESCAPE}",),
    "el compact": (f"foo://{ESCAPE}",),
    "el find": ("0" * 32, f"foo:{ESCAPE}"),
    "el forward": (f"foo:{ESCAPE}", "kafka://127.0.0.1:1/?topic=a"),
    "el jobs list": ("--nope", ESCAPE),
    "el jobs stop": (ESCAPE, "--cancel", "--savepoint", ESCAPE),
    "el ledger": (f"foo://{ESCAPE}",),
    "el mysql plan": (f"foo://{ESCAPE}",),
    "el mysql apply": (f"mysql://a@b/c?nope=1&x={ESCAPE}",),
    "el mysql purge": (f"foo://{ESCAPE}", "--older-than", "1d"),
    "el purge": (f"foo://{ESCAPE}", "--older-than", "1d"),
    "el reconcile": (f"foo:{ESCAPE}", "parquet:/nowhere"),
    "el schema list": ("--schemas", f"/nowhere/{ESCAPE}"),
    "el schema show": ("Edit", "--schemas", f"/nowhere/{ESCAPE}"),
    "el stack up": (f"kafka{ESCAPE}",),
    "el stack down": (f"kafka{ESCAPE}",),
    "el stack status": ("--nope", ESCAPE),
    "el stack env": ("--nope", ESCAPE),
    "el state show": (f"foo://{ESCAPE}",),
    "el state reset": (f"foo://{ESCAPE}", "--topic", "a", "--to", "latest"),
    "el state release": ("/nowhere", f"raw{ESCAPE}"),
    "el state upgrade": (f"foo://{ESCAPE}",),
    "el state new-id": (f"foo://{ESCAPE}",),
    "el jars build": ("--nope", ESCAPE),
}
"""A wrong call of each command that does something."""

WITHOUT_BEAM = (
    ["--help"],
    ["find", "0" * 32, "parquet:/nowhere"],
    ["check", "kafka://127.0.0.1:1/?topics=a&group=b"],
    *(["ledger", "/nowhere"], ["state", "show", "/nowhere"], ["jobs", "list"]),
    *(["schema", "list"], ["compact", "/nowhere"], ["purge", "/nowhere", "--older-than", "1d"]),
    *(["reconcile", "parquet:/nowhere", "parquet:/nowhere"], ["bad", "list", "parquet:/nowhere"]),
    *(["mysql", "plan", "mysql://a@127.0.0.1:1/b"], ["stack", "status", "--dir", "/nowhere"]),
    ["forward", "file:/nowhere", "kafka://127.0.0.1:1/?topic=a"],
)


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """A parser and those of its commands, those of their actions too."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield from parsers(each)


ALL = {each.prog: each for each in parsers(cli.parser())}
DOING = {name for name, each in ALL.items() if each.get_default("command")}


def el(*arguments: str) -> int:
    """The exit code of a call in this process."""
    try:
        return cli.main(arguments)
    except SystemExit as error:
        return int(error.code or 0)


def test_each_command_is_here() -> None:
    assert WRONG.keys() == DOING


@pytest.mark.parametrize("name", ALL)
def test_help_fits_the_terminal(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    assert el(*name.split()[1:], "--help") == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: {name}")
    assert not [line for line in text.splitlines() if len(line) > WIDTH]


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_call_is_one_sentence(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert el(*name.split()[1:], *WRONG[name]) == 2
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert lines[0].startswith(f"{name}: ") or lines[0].startswith("el: unrecognized arguments: ")
    assert len(lines) == 1 or lines[1].startswith("See 'el")
    assert out == "" and "\x1b" not in err and "Traceback" not in err


@pytest.mark.parametrize("call", WITHOUT_BEAM, ids=" ".join)
def test_a_command_that_runs_no_job_imports_no_beam(call: list[str]) -> None:
    code = (
        "import sys; from el_beam import cli\n"
        "try: cli.main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "assert 'apache_beam' not in sys.modules"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, *call], capture_output=True, text=True, cwd=ROOT
    )
    assert found.returncode == 0, found.stderr
