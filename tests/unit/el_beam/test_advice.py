"""What messages and pages advise works as it is printed, pasted into a shell: each argument comes
out as it went in, whatever is in a path."""

from __future__ import annotations

import argparse
import ast
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from el_beam import cli
from el_beam.advice import command, typed, typed_uri
from el_beam.books.ledger.audit import repairs
from el_beam.books.ledger.model import Ledger, Trouble
from el_beam.books.state.state import Commit, StateError
from el_beam.running.increments.planning import TopicFacts, check, check_held
from el_beam.running.increments.report import lacking_problems
from el_beam.terminal.console import printable
from el_beam.uris import filled, given_path, parse_uri, path_of
from transforms.read.offsets import OffsetRange

ROOT = Path(cli.__file__).parents[1]
PACKAGES = ("schemas", "transforms", "runners", "el_beam")
HOSTILE = (
    "/data/two words", "/it's", '/say "hi"', "/$HOME/${HOME}/$(id)", "/a`id`b",
    "/[ab]*?x", "/new\nline", "/tab\there",
    "/back\\slash", "/é中", "/#no !comment", "-rf", "/bytes\udcff",
    "/?a=b", "/a;b|c&d>e<f", "/\x1b[31mred", "~/x", "/trailing ",
)  # fmt: skip
RECORDER = """#!{python}
import json, os, sys
json.dump(sys.argv[1:], open(os.environ["ARGV"], "w"))
"""


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[str]]:
    """A shell in which `el` notes what it is given."""
    import sys

    folder = tmp_path_factory.mktemp("shell")
    (folder / "el").write_text(RECORDER.format(python=sys.executable))
    (folder / "el").chmod(0o755)
    noted = folder / "argv"

    def run(typed: str) -> list[str]:
        env = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "ARGV": str(noted)}
        subprocess.run(["bash", "-c", typed], env=env, cwd=folder, check=True)
        found: list[str] = json.loads(noted.read_text())
        return found

    return run


def printed(message: str) -> list[str]:
    """The commands in a message, as people see it."""
    shown = printable(message)
    found = re.findall(r"`(el [^`]+)`", shown)
    assert found or shown.startswith("el "), shown
    return found or [shown]


@pytest.mark.parametrize("path", HOSTILE)
def test_words_come_out_as_they_went_in(path: str, shell: Callable[[str], list[str]]) -> None:
    words = shell(printable(command("ledger", typed(path), accept=path, from_="x")))
    assert words[0] == "ledger" and filled(words[1]) in (path, f"./{path}")
    accept = words[2:-2]
    assert accept in (["--accept", path], [f"--accept={path}"]) and words[-2:] == ["--from", "x"]
    assert cli.parser().parse_args(words).accept == path


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1))
@example("${")
@example("$'\\'")
def test_a_path_is_found_again(text: str) -> None:
    """By commands that take paths, and those that take URIs."""
    path = f"/{text.replace('//', '')}"
    assert given_path(typed(path)) == path
    uri = parse_uri(typed_uri("parquet", path), {"parquet": frozenset()}, "sink")
    assert path_of(uri) == path or "://" in path or path.startswith("//")
    for home in ("~", "~root/x"):
        assert given_path(typed(home)) == f"./{home}"
        uri = parse_uri(typed_uri("parquet", home), {"parquet": frozenset()}, "sink")
        assert path_of(uri) == f"./{home}"


def _reset(path: str) -> Iterator[str]:
    reset = command("state", "reset", typed(path), topic="-odd")
    facts = TopicFacts("-odd", "id", {0: (0, 5)})
    for last in (Commit(1, {0: 9}, "id", 1.0), Commit(1, {0: 9}, "other", 1.0)):
        with pytest.raises(StateError) as error:
            check(last, facts, reset)
        yield str(error.value)
    with pytest.raises(StateError) as error:
        check_held({"a": (OffsetRange(0, 0, 9),)}, facts, reset, 3, lambda: {("-odd", 0): (0, 5)})
    yield str(error.value)
    for each in lacking_problems(facts, {"/d": (OffsetRange(0, 0, 3),)}, "/s", reset):
        yield each.text


def _repairs(path: str) -> Iterator[str]:
    kinds = (("lost", path, "2019-03-10T07"), ("unknown", path, ""))
    ledger = Ledger(path, troubles=[Trouble(*each, "") for each in kinds])
    yield from repairs(ledger)
    ledger.sinks, ledger.archives = {f"parquet:{path}"}, {"raw:/"}
    ledger.options = ("--format", "%{odd}$ x", "--schemas", path)
    found = repairs(ledger)
    assert found[0].startswith("el backfill apply / ")
    yield from found


@pytest.mark.parametrize("path", HOSTILE)
@pytest.mark.parametrize("messages", [_reset, _repairs])
def test_what_is_printed_is_a_command(
    messages: Callable[[str], Iterator[str]], path: str, shell: Callable[[str], list[str]]
) -> None:
    for message in messages(path):
        for each in printed(message):
            words = shell(each)
            args = cli.parser().parse_args(words)
            given = next(
                getattr(args, name) for name in ("state", "root", "raw") if hasattr(args, name)
            )
            assert filled(given) in (path, f"./{path}", "/")
            for uri in getattr(args, "sinks", []):
                assert filled(uri) in (f"parquet:{path}", f"parquet:./{path}")


def strings(path: Path) -> Iterator[tuple[int, str]]:
    """All texts of a module but its docstrings, with \\0 for what is put in."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docs = {id(each.value) for each in ast.walk(tree) if isinstance(each, ast.Expr)}
    parts = {
        id(part)
        for each in ast.walk(tree)
        if isinstance(each, ast.JoinedStr)
        for part in each.values
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield (
                node.lineno,
                "".join(
                    str(each.value) if isinstance(each, ast.Constant) else "\0"
                    for each in node.values
                ),
            )
        elif isinstance(node, ast.Constant) and id(node) not in docs | parts:
            yield node.lineno, node.value if isinstance(node.value, str) else ""


TEXTS = [
    (f"{path.relative_to(ROOT)}:{line}", text)
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
    for line, text in strings(path)
    if "el " in text
]


def names(parser: argparse.ArgumentParser) -> Iterator[str]:
    yield parser.prog
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield from names(each)


def test_no_message_makes_a_command_by_itself() -> None:
    """`advice.command` does it; a message without arguments names a command that there is."""
    known = {*names(cli.parser())}
    assert len(TEXTS) > 20
    for where, text in TEXTS:
        assert not re.search(r"`el [^`]*\0", text), f"{where}: use el_beam.advice.command"
        for each in re.findall(r"`(el [^`]+)`", text):
            name = re.sub(r" (?:--?[a-z]|[A-Z]).*", "", each)
            assert name in known, f"{where}: there is no `{each}`"


def test_no_command_has_a_word_that_people_must_replace() -> None:
    """But for the reason of what they accept, which is theirs."""
    calls = [
        node
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "command"
    ]
    assert len(calls) > 10
    values = [*(each for call in calls for each in call.args),
              *(each.value for call in calls for each in call.keywords)]  # fmt: skip
    texts = {str(each.value) for each in values if isinstance(each, ast.Constant)}
    assert {text for text in texts if text != text.lower()} == {"WHY IT STAYS SO"}
