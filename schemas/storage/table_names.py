"""What the tables and the folders of a set of schemas are called: no two share a name.

By itself a schema gives its table a name in which much is lost (`a/b` and `a_b` are `a_b_1`), and
readers don't distinguish `Edit_1` from `edit_1`. Of the schemas whose names are alike the first one
has the plain name, in the order of `_order`; each other one has a name that is made of itself
alone. So a name depends on the set of schemas, never on what is written first; and a table or
folder that exists keeps its name, also if the set changes.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from schemas.bad_event import EVENT_ERROR
from schemas.event import Destination
from schemas.registry.base import Registry
from schemas.storage.columns import digest, shortened

LONGEST_NAME: Final = 64  # characters, MySQL
_SCHEMA = r"schema ([./A-Za-z0-9_-]+)(?:\\n|\n)?, revision (\d+)"
_OWNED = re.compile(rf"COMMENT='{_SCHEMA}'")
_OWNED_SQLITE = re.compile(rf"/\* {_SCHEMA} \*/\Z")
NameOf = Callable[[Destination], str]


class Taken(NamedTuple):
    """A table or folder that exists."""

    name: str
    owner: Destination | None  # the schema that it is of, if it says so


SQLITE_TABLES: Final = "SELECT name, sql FROM sqlite_master WHERE type = 'table'"
Look = Callable[[str], Taken | None]
"""Returns what has a name, or one that readers don't distinguish from it."""


class Alike(NamedTuple):
    """Schemas whose plain names are alike."""

    first: Destination  # it has the plain name
    others: tuple[Destination, ...]  # each has a name of its own


class Names:
    """The names of a set of schemas. `plain` and `apart` are functions of a schema alone; `apart`
    gives no two schemas the same name, and none that is a plain one, in any case."""

    def __init__(self, schemas: Iterable[Destination], plain: NameOf, apart: NameOf) -> None:
        self._plain, self._apart = plain, apart
        groups: dict[str, list[Destination]] = defaultdict(list)
        for schema in sorted({*schemas}, key=self._order):
            groups[plain(schema).lower()].append(schema)
        self._groups = dict(groups)

    def _order(self, schema: Destination) -> tuple[bool, bool, Destination]:
        """EventError comes first; then schemas whose name is the plain one; then by name, in which
        capitals precede small letters."""
        return schema != EVENT_ERROR, self._plain(schema) != str(schema), schema

    def of(self, schema: Destination) -> str:
        """The name of a schema's table, if there is none yet."""
        plain = self._plain(schema)
        first = next(iter(self._groups.get(plain.lower(), ())), schema)
        return plain if first == schema else self._apart(schema)

    def heir(self, name: str) -> Destination | None:
        """The schema whose table has this very name, if the table itself doesn't say so."""
        alike = self._groups.get(name.lower(), ())
        return next((each for each in alike if self._plain(each) == name), None)

    def choose(self, schema: Destination, look: Look) -> str:
        """The name of a schema's table: of the one that exists, else of the one to be made."""
        plain, apart = self._plain(schema), self._apart(schema)
        taken = False
        for name in (plain, apart):
            if not (found := look(name)):
                continue
            heir = self.heir(found.name) or (schema if found.name == plain else None)
            if (found.owner or heir) == schema:
                return found.name
            taken |= name == plain
        return apart if taken else self.of(schema)

    def alike(self) -> Iterator[Alike]:
        """The schemas whose plain names are alike."""
        for first, *others in self._groups.values():
            if others:
                yield Alike(first, tuple(others))


def table_name(name: str, revision: int) -> str:
    """Returns the original's name of a schema's table, shortened to 64 characters."""
    made = re.sub("[^A-Za-z0-9]+", "_", name) + f"_{revision}"
    return shortened(f"_{made}" if made.lower().startswith("sqlite_") else made, LONGEST_NAME)


def apart_table(schema: Destination) -> str:
    """The name of a table whose plain name another schema has. It ends with a letter and 8 hex
    digits of the schema's SHA-256, a plain one with a revision."""
    return f"{shortened(table_name(*schema), LONGEST_NAME - 10)}_x{digest(str(schema))}"


def table_names(registry: Registry) -> Names:
    """The names of tables. Of a registry that can't list its schemas each has the plain name,
    unless another schema's table has it."""
    return Names(known(registry), lambda schema: table_name(*schema), apart_table)


def known(registry: Registry) -> list[Destination]:
    """The schemas on which names depend: those of a registry, if it can say which these are."""
    return registry.list() if registry.lists else [EVENT_ERROR]


def owner_of(create_table: str) -> Destination | None:
    """Reads from the statement that makes a table to which schema it belongs: MySQL's SHOW CREATE
    TABLE has the comment after the columns, SQLite keeps ours at their end. None if there is none.
    """
    columns, _, options = create_table.rpartition("\n)")
    match = _OWNED.search(options) or _OWNED_SQLITE.search(columns)
    return Destination(match[1], int(match[2])) if match else None


def sqlite_look(tables: Iterable[tuple[str, str]]) -> Look:
    """What has a name in SQLite, of its tables with the statements that made them."""
    found = {name.lower(): Taken(name, owner_of(sql)) for name, sql in tables}
    return lambda name: found.get(name.lower())


def called(schema: Destination, look: Look) -> str:
    """The name of a schema's table in a store that is read without a registry."""
    for name in (table_name(*schema), apart_table(schema)):
        found = look(name)
        if found and found.owner == schema:
            return found.name
    return table_name(*schema)
