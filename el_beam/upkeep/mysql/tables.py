"""The tables of a database that are ours: MediaWiki's, and copies that people have made, are not.

Ours are those whose comment names the schema that they are called after; and, as EventLogging's own
have no comment, those that are called as a schema of the registry.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import sqlalchemy as sa

from schemas.event import Destination
from schemas.storage.table_names import Names, apart_table, table_name
from transforms.io.mysql.client import look

_VERSIONED: Final = "it is system-versioned: its history keeps what is removed"
_TABLES: Final = (
    "SELECT TABLE_NAME, TABLE_COMMENT, TABLE_TYPE FROM information_schema.TABLES"
    " WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')"
    " ORDER BY TABLE_NAME"
)
_ALIKE: Final = (  # what CREATE TABLE … AS SELECT leaves of a table
    "SELECT TABLE_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE()"
    " AND COLUMN_NAME IN ('uuid', 'timestamp', 'userAgent') GROUP BY 1 HAVING COUNT(*) = 3"
)


class Ours(NamedTuple):
    """A table of ours."""

    name: str
    schema: Destination


class Strange(NamedTuple):
    """A table that looks like ours: a copy, maybe."""

    name: str
    schema: Destination | None  # of whose table it has the comment
    why: str


def tables(connection: sa.Connection, registry: Iterable[Destination]) -> Iterator[Ours | Strange]:
    """Ours, by name; and those that only look like ours. Raises FAULTS."""
    small = connection.exec_driver_sql("SELECT @@lower_case_table_names").scalar_one()
    schemas = [*registry]
    names = Names(schemas, lambda schema: table_name(*schema), apart_table)
    lower = {table_name(*each).lower(): names.heir(table_name(*each)) for each in schemas[::-1]}
    alike = {name for (name,) in connection.exec_driver_sql(_ALIKE).all()}
    for name, comment, kind in connection.exec_driver_sql(_TABLES).all():
        if comment.startswith("schema ") and (found := look(connection, name)) and found.owner:
            schema = found.owner
            mine = name.casefold() in {
                each.casefold() for each in (table_name(*schema), apart_table(schema))
            }
            why = f"its comment is that of the table of {found.owner}: a copy?"
            made: Ours | Strange = Ours(name, schema) if mine else Strange(name, schema, why)
        elif not comment and (named := lower.get(name) if small else names.heir(name)):
            made = Ours(name, named)
        elif name in alike:
            made = Strange(name, None, "it has uuid, timestamp and userAgent: a copy?")
        else:
            continue
        yield made if kind == "BASE TABLE" else Strange(name, made.schema, _VERSIONED)
