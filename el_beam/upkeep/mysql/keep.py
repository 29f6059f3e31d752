"""What of a table's old rows may stay: a keep list, as columns.

Of userAgent, which is JSON in a column, parts may stay.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from el_beam.upkeep.retention.keep_list import Keep, check, json_object, rescued, resolved
from schemas.storage.columns import RESCUED, path_text
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
    fields = resolved(document, fields)
    paths = {folded(column.name): _leading_to(column.path) for column in layout(document)}
    paths[RESCUED] = {RESCUED}
    parts = frozenset(each for each in fields if each.startswith(f"{_AGENT}."))
    cut: dict[str, Cut] = {RESCUED: lambda text: rescued(text, fields)}
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


def _leading_to(path: tuple[str, ...]) -> set[str]:
    """(a, b, c) -> a, a.b, a.b.c"""
    return {path_text(path[:end]) for end in range(1, len(path) + 1)}


def _agent(text: str, parts: frozenset[str]) -> str | None:
    stays = {key: value for key, value in json_object(text).items()
             if f"{_AGENT}.{path_text([key])}" in parts}  # fmt: skip
    return json.dumps(stays, sort_keys=True) if stays else None


def check_tables(keep: Keep, fields: Mapping[str, set[str]]) -> None:
    """Raises KeepError where a list names what no table has. `fields`: of each Schema_revision that
    has a table, what the list may name."""
    check(keep, fields, lambda tables, _: set().union(*(fields[table] for table in tables)))
