"""What of a table's old rows may stay: a keep list, as columns.

A path is that of the event: `event.action`, or `event` and all in it; a dot in a key is `\\.`. What
files call a field does too, so that one list serves both. Of userAgent, which is JSON in a column,
parts may stay.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from el_beam.upkeep.retention.keep_list import Keep, check
from schemas.storage.columns import RESCUED, Column, json_text, nested_columns, path_text
from schemas.storage.sql import folded, layout

ALWAYS: Final = frozenset({"id", "uuid", "dt", "timestamp"})
"""Columns which say nothing of a person, and without which a row is of no use."""
_AGENT: Final = "userAgent"

Cut = Callable[[str], str | None]
"""What stays of a column's JSON text; None for nothing."""


class Kept(NamedTuple):
    """What becomes of a table's old rows that stay."""

    nulls: tuple[str, ...]  # columns that become null
    cuts: dict[str, Cut]  # columns of which a part stays
    stays: frozenset[str]  # the others
    parts: frozenset[str] = frozenset()  # fields of which no column is left but in JSON


def kept(document: dict[str, Any], columns: Iterable[str], fields: frozenset[str]) -> Kept:
    """What these fields leave of a table's columns, whatever the case of their names. One that no
    schema has becomes null."""
    called = _as_files_call_them(document)
    fields = frozenset(called.get(each, each) for each in fields)
    paths = {folded(column.name): _leading_to(column.path) for column in layout(document)}
    paths[RESCUED] = {RESCUED}
    parts = frozenset(each for each in fields if each.startswith(f"{_AGENT}."))
    cut: dict[str, Cut] = {RESCUED: lambda text: _rescued(text, fields)}
    if parts:
        cut[folded(_AGENT)] = lambda text: _agent(text, parts)
    stays, nulls, cuts = set(), [], {}
    for name in columns:
        key = folded(name)
        if key in ALWAYS or fields & paths.get(key, set()):
            stays.add(name)
        elif key in cut:
            cuts[name] = cut[key]
        else:
            nulls.append(name)
    some = any(folded(name) == folded(_AGENT) for name in cuts)
    return Kept(tuple(nulls), cuts, frozenset(stays), parts if some else frozenset())


def _as_files_call_them(document: dict[str, Any]) -> dict[str, str]:
    """Fields that have another name in files -> the fields: event.page_id -> event.page\\.id"""
    found: dict[str, str] = {}

    def walk(columns: Iterable[Column], path: tuple[str, ...], names: tuple[str, ...]) -> None:
        for each in columns:
            mine, called = (*path, each.key), (*names, each.name)
            found[".".join(called)] = path_text(mine)
            walk(each.children, mine, called)

    walk(nested_columns(document), (), ())
    fields = {*found.values()}
    return {name: field for name, field in found.items() if name not in fields}


def _leading_to(path: tuple[str, ...]) -> set[str]:
    """(a, b, c) -> a, a.b, a.b.c"""
    return {path_text(path[:end]) for end in range(1, len(path) + 1)}


def _agent(text: str, parts: frozenset[str]) -> str | None:
    stays = {key: value for key, value in _object(text).items()
             if f"{_AGENT}.{path_text([key])}" in parts}  # fmt: skip
    return json.dumps(stays, sort_keys=True) if stays else None


def _rescued(text: str, fields: frozenset[str]) -> str | None:
    stays = {path: value for path, value in _object(text).items() if fields & _above(path)}
    return json_text(stays) if stays else None


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _above(path: str) -> set[str]:
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


def fields_of(document: dict[str, Any]) -> set[str]:
    """The fields that a list may name."""
    agent = next(each for each in nested_columns(document) if each.key == _AGENT)
    paths = (path for column in layout(document) for path in _leading_to(column.path))
    parts = (f"{_AGENT}.{each.key}" for each in agent.children)
    return {*paths, *_as_files_call_them(document), *parts, RESCUED}


def check_tables(keep: Keep, fields: Mapping[str, set[str]]) -> None:
    """Raises KeepError where a list names what no table has. `fields`: of each Schema_revision that
    has a table, what the list may name."""
    check(keep, fields, lambda tables, _: set().union(*(fields[table] for table in tables)))
