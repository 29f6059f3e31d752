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
from schemas.registry.folder import LARGEST_SCHEMA

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
        "Dates/1.yaml": "default: 2013-01-21",
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
        ("Broken", "1.json: Expecting"),
        ("Draft", "type: 5"),
        ("NaN", "NaN is not JSON"),
        ("List", "not list"),
        ("Dates", "1.yaml"),
        ("Latin", "utf-8"),
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
