"""A keep list: the fields that may stay for good, by schema. Files and tables share it.

    Edit: [wiki, event.action]       # of every revision; of a struct all, or parts
    NavigationTiming_18988839: []    # of this one: the rows, and no field

What nobody has is a mistake, for it would make null what was meant.
"""

import difflib
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from el_beam.books.ledger.model import LedgerError

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
