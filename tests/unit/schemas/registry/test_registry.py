"""Registries: what is found, what is refused, and what one bad schema or client can't do."""

import json
import os
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from schemas.bad_event import EVENT_ERROR
from schemas.event import Destination
from schemas.registry import (
    CATALOG,
    DirectoryRegistry,
    HttpRegistry,
    InvalidSchema,
    Registry,
    RegistryError,
    UnknownSchema,
    WithEventError,
    open_registry,
)
from schemas.registry.documents import LARGEST_SCHEMA, BadDocument, parse_file

STRING = {"type": "string"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of schemas, of which some are good."""
    folder = tmp_path / "schemas"
    files: dict[str, str | bytes] = {
        "Good/1.json": '{"type": "string"}',
        "Good/12.json": '{"type":\t"object"}',
        "a/b/3.yaml": "type: string",
        "Other/7.yml": "{properties: {x: {type: integer}}}",
        "Broken/1.json": "{",
        "Draft/1.json": '{"type": 5}',
        "NaN/1.json": '{"minimum": NaN}',
        "List/1.json": "[]",
        "Set/1.yaml": "default: !!set {a}",
        "Latin/1.json": b'{"title": "\xe9"}',
        "Deep/1.json": "[" * 200_000,
        "Large/1.json": '{"title": "' + "x" * LARGEST_SCHEMA + '"}',
        "Good/latest.json": "{}",
        "1.json": "{}",
        "README.md": "not a schema",
        ".git/Hidden/1.json": "{}",
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def test_a_folder_of_schemas(root: Path) -> None:
    registry = DirectoryRegistry(root)
    assert registry.get("Good", 1) == STRING
    assert registry.get("Good", 12) == {"type": "object"}
    assert registry.get("a/b", 3) == STRING
    assert registry.get("Other", 7)["properties"] == {"x": {"type": "integer"}}
    assert registry.get("Good", 1) is registry.get("Good", 1)
    assert {("Good", 1), ("Good", 12), ("a/b", 3), ("Other", 7)} <= set(registry.list())
    assert registry.list() == sorted(registry.list())
    assert all(isinstance(each, Destination) for each in registry.list())


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Broken", "1.json: neither JSON (line 1, column 2: Expecting"),
        ("Draft", "type: 5"),
        ("NaN", "NaN is not JSON"),
        ("List", "not list"),
        ("Set", "!!set is not JSON"),
        ("Latin", "not UTF-8 (byte 0xe9 at 11)"),
        ("Deep", "1.json: "),
        ("Large", "larger than"),
    ],
)
def test_a_broken_file_is_named_and_hides_no_other(root: Path, name: str, says: str) -> None:
    registry = DirectoryRegistry(root)
    for _ in range(2):
        with pytest.raises(InvalidSchema, match=f"schema {name} revision 1: ") as caught:
            registry.get(name, 1)
        assert says in str(caught.value)
    problems = [each for each in registry.problems() if f"schema {name} " in each]
    assert len(problems) == 1
    assert says in problems[0]


def test_problems_are_lines(root: Path) -> None:
    problems = DirectoryRegistry(root).problems()
    assert len(problems) == 8 + 2
    assert not any("\n" in each for each in problems)
    assert [each for each in problems if each.startswith("Good/latest.json: ")]
    assert [each for each in problems if each.startswith("1.json: ")]
    assert DirectoryRegistry(CATALOG).problems() == []


@pytest.mark.parametrize(
    ("schema", "revision"),
    [
        ("Good", 2),
        ("good", 1),
        ("Nope", 1),
        ("../schemas/Good", 1),
        ("./Good", 1),
        ("Good/", 1),
        ("a//b", 3),
        ("/etc/passwd", 1),
        ("Hidden", 1),
        (".git/Hidden", 1),
        ("", 1),
        (".", 1),
        ("Good\n", 1),
        ("x" * 5000, -(10**30)),
    ],
)
def test_hostile_names_are_just_unknown(root: Path, schema: str, revision: int) -> None:
    with pytest.raises(UnknownSchema) as caught:
        DirectoryRegistry(root).get(schema, revision)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("suffix", "text", "document"),
    [
        (".json", '\ufeff{"type": "string"}', STRING),
        (".yaml", "\ufefftype: string", STRING),
        (".json", '{"type": "string",}', STRING),
        (".json", '{"type": "string" # for now\n}', STRING),
        (".json", "type: string", STRING),
        (".json", "{'type': string}", STRING),
        (".json", '{\n\t"type":\t"string"}', STRING),
        (".json", '{"enum": ["a//b", "// c", 1]}', {"enum": ["a//b", "// c", 1]}),
        (".json", 'title: a "b" // c', {"title": 'a "b" // c'}),
        (".yaml", 'title: a "b" // c', {"title": 'a "b" // c'}),
        (".yaml", "on: {no: 1, true: 2, ~: 3}", {"on": {"no": 1, "true": 2, "~": 3}}),
        (".yaml", "1.50: a\n2019-01-01: b\n!!int 7: c", {"1.50": "a", "2019-01-01": "b", "7": "c"}),
        (".yaml", "default: 2019-01-01", {"default": "2019-01-01"}),
        (".yaml", "enum: [2019-01-01T00:00:00Z, 2019-99-99]",
         {"enum": ["2019-01-01T00:00:00Z", "2019-99-99"]}),
        (".yaml", "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}",
         {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}}),
        (".yaml", 'title: "\\ud83e\\udd86"', {"title": "🦆"}),
        (".yaml", "enum: [yes, 0x1F, 1_000, 1e3, .5]", {"enum": [True, 31, 1000, "1e3", 0.5]}),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)  # fmt: skip
def test_what_the_original_loaded(suffix: str, text: str, document: Any) -> None:
    assert parse_file(text.encode(), suffix) == document


BOMB = "a: &a [x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGED = "a: &a {x: 1, y: 2}\n" + "".join(
    f"{name}: &{name} {{<<: [{', '.join([f'*{before}'] * 9)}]}}\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
LONG = f"a: &a {'x' * 100_000}\nb: [{'*a,' * 10_000}]"


@pytest.mark.parametrize(
    ("suffix", "text", "says"),
    [
        (".json", '{ // c\n"type": 1}', "line 1, column 3: JSON has no comments"),
        (".json", '{"minimum": 1 // c\n}', "line 1, column 15: JSON has no comments"),
        (".json", '{ /* c */ "a": 1}', "line 1, column 3: JSON has no comments"),
        (".json", '[1 "a"]', 'line 1, column 2: " is in a text'),
        (".json", '{"a": [1,], "b": 1 // c\n}', "line 1, column 18: // is in a text"),
        (".json", '{"a": 1} x', "line 1, column 10"),
        (".json", '{"a": 1e400}', "1e400 is too large for a number"),
        (".json", f'{{"a": {"1" * 5000}}}', "an integer of thousands of digits"),
        (".json", "", "there is nothing in it"),
        (".yaml", "# only a comment", "there is nothing in it"),
        (".yaml", "a: b: c", "line 1, column 5: mapping values are not allowed here"),
        (".yaml", "a: 1\nb: \x01", "line 2: the character U+0001"),
        (".yaml", "a: .inf", "line 1, column 4: .inf is not a number in JSON"),
        (".yaml", "a: !!binary aGk=", "!!binary is not JSON"),
        (".yaml", "a: !!bool maybe", "line 1, column 4: 'maybe' is not a value of the type bool"),
        (".yaml", f"a: 1{':1' * 5000}", "line 1, column 4: a number of 10001 characters"),
        (".yaml", "a: !!python/object:os.system x", "could not determine a constructor"),
        (".yaml", f"a: 1{':59' * 300}.5", "is not a value of the type float"),
        (".yaml", "a: !!timestamp [x]", "expected a scalar node"),
        (".yaml", '\na: "\\U00110000"', "line 2: a character or a number out of range"),
        (".yaml", '\na: "\\UFFFFFFFF"', "line 2: a character or a number out of range"),
        (".yaml", f"%YAML {'1' * 5000}.1\n---\na: 1", "a character or a number out of range"),
        (".yaml", f"{{{'a,' * 100_000}}}", "larger than 131072 characters, for YAML"),
        (".json", f"[{'1,' * 100_000}]", "nor YAML (larger than 131072 characters"),
        (".yaml", "? [a]\n: b", "line 1, column 3: the name of a property is a text"),
        (".yaml", "a: *b", "undefined alias"),
        (".yaml", "\na: &a [*a]", "line 2: an alias leads to what it is a part of"),
        (".yaml", "- " * 60_000, "nested too deep"),
        (".yaml", BOMB, "larger than 1048576 bytes with its aliases written out"),
        (".json", BOMB, "larger than 1048576 bytes with its aliases written out"),
        (".yaml", MERGED, "larger than 1048576 bytes with its aliases written out"),
        (".yaml", LONG, "larger than 1048576 bytes with its aliases written out"),
    ],
    ids=lambda value: value[:30],
)
def test_what_is_refused_says_what_is_wrong_and_where(suffix: str, text: str, says: str) -> None:
    with pytest.raises(BadDocument) as caught:
        parse_file(text.encode(), suffix)
    assert says in str(caught.value)


def test_a_bomb_hides_no_other(root: Path) -> None:
    (root / "Broken" / "2.yaml").write_text(BOMB)
    registry = DirectoryRegistry(root)
    assert registry.get("Good", 1) == STRING
    with pytest.raises(InvalidSchema, match=r"2\.yaml: larger than"):
        registry.get("Broken", 2)


@pytest.mark.parametrize(
    "name", ["Sp ace/1.json", "Good/0.json", "x" * 64 + "/1.json", ".a/1.json"]
)
def test_a_file_that_no_event_can_name_is_reported(root: Path, name: str) -> None:
    path = root / name
    path.parent.mkdir(exist_ok=True)
    before = DirectoryRegistry(root).problems()
    path.write_text("{}")
    (problem,) = {*DirectoryRegistry(root).problems()} - {*before}
    assert problem.startswith(name.removesuffix("/1.json"))
    assert not [
        each for each in DirectoryRegistry(root).list() if name.startswith(f"{each[0]}/{each[1]}.")
    ]


def test_links_out_of_the_folder_are_not_followed(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "Secret").mkdir(parents=True)
    (outside / "Secret" / "1.json").write_text("{}")
    (root / "Linked").mkdir()
    (root / "Linked" / "1.json").symlink_to(outside / "Secret" / "1.json")
    (root / "Linked" / "2.json").symlink_to(root / "Good" / "1.json")
    (root / "Linked" / "3.json").symlink_to(tmp_path / "nowhere")
    (root / "Folder").symlink_to(outside / "Secret")
    registry = DirectoryRegistry(root)
    names = set(registry.list())
    assert ("Linked", 2) in names
    assert not names & {("Linked", 1), ("Linked", 3), ("Folder", 1)}
    assert "Linked/1.json: a link that leads out of the folder" in registry.problems()


def test_a_pipe_is_not_waited_for(root: Path) -> None:
    os.mkfifo(root / "Good" / "2.json")
    with pytest.raises(InvalidSchema, match="not a regular file"):
        DirectoryRegistry(root).get("Good", 2)


def test_two_files_of_a_revision(root: Path) -> None:
    (root / "Good" / "1.yaml").write_text("type: object")
    (root / "Good" / "01.json").write_text("{}")
    registry = DirectoryRegistry(root)
    assert len([each for each in registry.problems() if "another file" in each]) == 2
    assert registry.list().count(Destination("Good", 1)) == 1


def test_the_digest_pins_names_and_content(root: Path) -> None:
    digest = DirectoryRegistry(root).digest()
    assert len(digest) == 64
    (root / "Good" / "1.json").write_text('{\n "type" : "string"\n}')
    (root / "README.md").write_text("changed")
    assert DirectoryRegistry(root).digest() == digest
    (root / "Good" / "1.json").write_text('{"type": "strings"}')
    changed = DirectoryRegistry(root).digest()
    assert changed != digest
    (root / "Good" / "1.json").rename(root / "Good" / "2.json")
    assert DirectoryRegistry(root).digest() not in (digest, changed)


def test_it_reads_once(root: Path) -> None:
    registry = DirectoryRegistry(root)
    digest = registry.digest()
    (root / "Good" / "1.json").write_text("{}")
    (root / "Good" / "12.json").unlink()
    assert registry.get("Good", 1) == STRING
    assert registry.get("Good", 12)
    assert registry.digest() == digest


def test_registries_travel_light(root: Path) -> None:
    for registry in (
        DirectoryRegistry(root),
        WithEventError(DirectoryRegistry(root)),
        HttpRegistry("https://example.invalid/api.php", timeout=3),
    ):
        digest = registry.digest()
        if not isinstance(registry, HttpRegistry):
            assert registry.get("Good", 1) == STRING
        pickled = pickle.dumps(registry)
        assert len(pickled) < 500
        assert pickle.loads(pickled).digest() == digest


@pytest.mark.parametrize("make", [str, Path.touch, Path.mkdir])
def test_a_folder_without_schemas(tmp_path: Path, make: Callable[[Path], Any]) -> None:
    folder = tmp_path / "nothing"
    make(folder)
    with pytest.raises(RegistryError, match="nothing") as caught:
        open_registry(str(folder))
    assert "\n" not in str(caught.value)


def test_event_error_is_always_there_and_always_ours(root: Path) -> None:
    (root / "EventError").mkdir()
    (root / "EventError" / "14035058.json").write_text('{"type": "null"}')
    (root / "EventError" / "1.json").write_text('{"type": "null"}')
    ours = json.loads((CATALOG / "EventError" / "14035058.json").read_text())
    cases: list[Registry] = [
        open_registry(None),
        open_registry(str(root)),
        WithEventError(HttpRegistry("https://wiki.invalid/api.php")),  # is not asked
    ]
    for registry in cases:
        assert registry.get(*EVENT_ERROR) == ours
        assert registry.list().count(EVENT_ERROR) == 1
        assert registry.list() == sorted(registry.list())
    assert cases[1].get("EventError", 1) == {"type": "null"}
    assert cases[1].get("Good", 1) == STRING
    assert len({each.digest() for each in cases}) == 3
    assert len(cases[1].problems()) == 10


def test_open_registry_by_what_it_is_given() -> None:
    assert repr(open_registry("https://x.invalid/api")) == "HttpRegistry('https://x.invalid/api')"
    assert repr(open_registry(None)) == f"DirectoryRegistry({str(CATALOG)!r})"
    with pytest.raises(RegistryError, match="http"):
        open_registry("file:///etc")


def test_many_threads_share_one(root: Path) -> None:
    registry, failures = DirectoryRegistry(root), []

    def ask() -> None:
        try:
            assert registry.get("Good", 1) == STRING
            with pytest.raises(InvalidSchema):
                registry.get("Draft", 1)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
