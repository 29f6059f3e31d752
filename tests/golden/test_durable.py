"""Durable formats: what any version of el_beam has written is read; what a newer one has is not.

`durable/KIND/N.json` is a document of format N, written by the version that had it. One of the
newest format is made by `python tests/golden/test_durable.py KIND`; older ones never change.
"""

import json
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from schemas.durable import DocumentError, DocumentFormat
from schemas.errors import WrongCall

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = Path(__file__).parent / "durable"
SOURCES = [path for package in ("schemas", "transforms", "runners", "el_beam")
           for path in (ROOT / package).rglob("*.py")]  # fmt: skip


def formats() -> dict[str, DocumentFormat[Any]]:
    """All kinds of documents that we write, by their names."""
    found = {}
    for path in SOURCES:
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for name in re.findall(r"^([A-Z_]+) = DocumentFormat\(", path.read_text(), re.MULTILINE):
            format_ = getattr(import_module(module), name)
            assert format_.kind not in found, f"two formats are called {format_.kind}"
            found[format_.kind] = format_
    return found


FORMATS = formats()
KINDS = sorted(FORMATS)


def golden(kind: str, version: int) -> bytes:
    return (GOLDEN / kind / f"{version}.json").read_bytes()


def test_each_version_of_each_kind_is_here() -> None:
    there = {(path.parent.name, path.stem) for path in GOLDEN.glob("*/*.json")}
    assert there == {(kind, str(version)) for kind in KINDS
                     for version in range(1, FORMATS[kind].version + 1)}  # fmt: skip
    for each in FORMATS.values():
        assert [*each.migrations] == [*range(1, each.version)]


def test_all_formats_are_found() -> None:
    """Each is a constant of its module, or this file wouldn't know it."""
    texts = [path.read_text() for path in SOURCES]
    users = [
        text
        for text in texts
        if re.search(r"^from schemas\.durable import .*\bDocumentFormat\b", text, re.MULTILINE)
    ]
    assert sum(text.count(" DocumentFormat(") for text in users) == len(FORMATS)


@pytest.mark.parametrize("kind", KINDS)
def test_all_versions_say_the_same(kind: str) -> None:
    format_ = FORMATS[kind]
    values = [format_.load(golden(kind, version), "x") for version in range(1, format_.version + 1)]
    newest = json.loads(golden(kind, format_.version))
    for value in values:
        document = json.loads(format_.dump(value))
        assert document == {"format": format_.version, **newest}
        assert format_.load(format_.dump(value), "x") == value


@pytest.mark.parametrize("kind", [kind for kind in KINDS if FORMATS[kind].previous])
def test_the_release_before_reads_what_is_written_for_it(kind: str) -> None:
    """It knows no numbers of formats, and refuses names that it doesn't know."""
    format_, old = FORMATS[kind], golden(kind, 1)
    written = format_.dump(format_.load(old, "x"), previous=True)
    assert json.loads(written) == json.loads(old)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_known_is_ignored(kind: str) -> None:
    """Wherever it is, but where names are data."""
    format_ = FORMATS[kind]
    content = golden(kind, format_.version)
    value = format_.load(content, "x")
    document = json.loads(content)
    if kind != "summaries" or format_.version > 1:
        document["added"] = {"by": "a newer version"}
    for name in ("files", "counts", "hours", "splits"):
        for each in document.get(name, ()) if isinstance(document.get(name), list) else ():
            if isinstance(each, dict):
                each["added"] = 1
    assert format_.load(json.dumps(document).encode(), "x") == value


@pytest.mark.parametrize("kind", KINDS)
def test_a_newer_format_is_refused(kind: str) -> None:
    format_ = FORMATS[kind]
    document = json.loads(golden(kind, format_.version)) | {"format": format_.version + 1}
    with pytest.raises(DocumentError) as caught:
        format_.load(json.dumps(document).encode(), "/data/x.json")
    assert str(caught.value) == (
        f"/data/x.json is written in format {format_.version + 1} ({kind}), and this version of "
        f"el_beam reads formats up to {format_.version}: use a newer el_beam"
    )
    assert isinstance(caught.value, WrongCall)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"1", b"null", b'{"format":"a"}', b"\xff"])
def test_what_is_damaged_is_refused(kind: str, content: bytes) -> None:
    with pytest.raises(DocumentError, match=r"^/data/x\.json is damaged"):
        FORMATS[kind].load(content, "/data/x.json")


if __name__ == "__main__":
    for kind in sys.argv[1:]:
        format_ = FORMATS[kind]
        value = format_.load(golden(kind, format_.version - 1), kind)
        text = json.dumps(json.loads(format_.dump(value)), indent=1, ensure_ascii=False)
        (GOLDEN / kind / f"{format_.version}.json").write_text(f"{text}\n")
