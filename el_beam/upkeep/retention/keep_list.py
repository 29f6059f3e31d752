"""A keep list: the fields that may stay for good, by schema. Files and tables share it.

    Edit: [wiki, event.action]       # of every revision; of a struct all, or parts
    NavigationTiming_18988839: []    # of this one: the rows, and no field

A field is the path of a property, in which a dot of a key is `\\.`, or what files call it: the
names of its columns. It stays with all in it, also with what of it was rescued. What nobody has is
a mistake, for it would make null what was meant.
"""

import difflib
import json
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from el_beam.books.ledger.model import LedgerError
from schemas.storage.columns import RESCUED, Column, json_text, nested_columns, path_text

_SHOWN = 30  # names of what there is


class KeepError(LedgerError):
    """A list of fields that can't be used; the message says why."""


@dataclass(frozen=True)
class Keep:
    """Which fields stay: schema, or Schema_revision -> paths, as `event.action`."""

    fields: dict[str, frozenset[str]]

    def of(self, table: str) -> frozenset[str] | None:
        """Of a table: what is said of the revision, else what is said of the schema. None where
        nothing is said: then the rows themselves may not stay."""
        return self.fields.get(table, self.fields.get(table.rpartition("_")[0]))


class _Loader(yaml.BaseLoader):
    """Takes all for text, as `on` and `null` may be names, and no name twice: of two lists of
    fields the first would be forgotten."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        found = super().construct_mapping(node, deep=deep)
        if len(found) != len(node.value):
            raise yaml.YAMLError("a name is there twice")
        return found


def read_keep(path: str | None) -> Keep:
    """The list in a YAML file, `Schema: [field, …]`; without one nothing stays.

    Raises KeepError."""
    if path is None:
        return Keep({})
    try:
        document = yaml.load(Path(path).read_text(encoding="utf-8"), _Loader)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise KeepError(f"cannot read {path}: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict) or not all(
        isinstance(fields, list) and all(isinstance(each, str) for each in fields)
        for fields in document.values()
    ):
        raise KeepError(f"{path} must have lists of fields as `Schema: [event.action, wiki]`")
    return Keep({str(name): frozenset(fields) for name, fields in document.items()})


def names_of(document: dict[str, Any]) -> dict[str, str]:
    """The path of each property of a schema, by what files call it: event.page_id ->
    event.page\\.id"""
    found: dict[str, str] = {}

    def walk(columns: Iterable[Column], path: tuple[str, ...], names: tuple[str, ...]) -> None:
        for each in columns:
            mine, called = (*path, each.key), (*names, each.name)
            found[".".join(called)] = path_text(mine)
            walk(each.children, mine, called)

    walk(nested_columns(document), (), ())
    return found


def resolved(document: dict[str, Any], fields: frozenset[str]) -> frozenset[str]:
    """The paths of fields. What is the path of one property and what files call another is the
    path."""
    names = names_of(document)
    paths = {*names.values()}
    return frozenset(each if each in paths else names.get(each, each) for each in fields)


def fields_of(document: dict[str, Any]) -> set[str]:
    """The fields that a list may name of a schema's events."""
    names = names_of(document)
    return {*names, *names.values(), RESCUED}


def rescued(text: str, fields: Collection[str]) -> str | None:
    """What stays of RESCUED, if these paths stay with all in them; None for nothing."""
    stays = {path: value for path, value in json_object(text).items()
             if not leading_to(path).isdisjoint(fields)}  # fmt: skip
    return json_text(stays) if stays else None


def json_object(text: str) -> dict[str, Any]:
    """The object in a JSON text; an empty one of any other text."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def leading_to(path: str) -> set[str]:
    """a.b\\.c -> a, a.b\\.c"""
    parts: list[str] = [""]
    escaped = False
    for letter in path:
        if letter == "." and not escaped:
            parts.append("")
            continue
        parts[-1] += letter
        escaped = letter == "\\" and not escaped
    return {".".join(parts[:end]) for end in range(1, len(parts) + 1)}


def check(
    keep: Keep, tables: Collection[str],
    fields_of: Callable[[list[str], frozenset[str]], Collection[str]],
) -> None:  # fmt: skip
    """Raises KeepError where a list names a table that is not among `tables`, each a
    Schema_revision, or a field that they don't have. `fields_of` gives the fields of some tables,
    at least those that it is asked for; what it raises of KeepError is one of the mistakes."""
    mistakes = []
    for name, named in sorted(keep.fields.items()):
        mine = [table for table in tables if name in (table, table.rpartition("_")[0])]
        if not mine:
            mistakes.append(f"there is no table of {name}, there are {_shown(sorted(tables))}")
            continue
        try:
            has = fields_of(mine, named)
        except KeepError as error:
            mistakes.append(f"cannot tell what {name} has: {error}")
            continue
        if missing := sorted(named.difference(has)):
            near = [close for each in missing for close in difflib.get_close_matches(each, has)]
            has = dict.fromkeys([*near, *sorted(has)])
            mistakes.append(f"{name} has no {', '.join(missing)}, it has {_shown(has)}")
    if mistakes:
        raise KeepError("; ".join(["the list names what isn't there", *mistakes]))


def _shown(names: Iterable[str]) -> str:
    first, rest = [*names][:_SHOWN], [*names][_SHOWN:]
    return ", ".join(first) + (f" and {len(rest)} more" if rest else "") or "none"
