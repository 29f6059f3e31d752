"""What the tables of a database lack for the schemas of a registry, and adding it.

Nothing is ever dropped, and no column becomes another type: what would need that is said, for a
person to do. Killed and started again, it looks again and goes on.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import sqlalchemy as sa

from schemas.event import Destination
from schemas.registry import Registry, SchemaError
from schemas.storage.columns import RESCUED
from schemas.storage.sql import MYSQL, TableFacts, additions, create_table_sql, lacks, table
from schemas.storage.table_names import table_names
from transforms.io.mysql.client import (
    DatabaseAway,
    MysqlFault,
    NoRight,
    TableLocked,
    fault,
    find,
    look,
    reason,
)
from transforms.io.retry import retrying
from transforms.write.mysql_table import FAULTS

_LOCK = "SET SESSION lock_wait_timeout=1"  # seconds: those who come after us wait as long as we do
_PATIENCE = 120.0  # seconds that a table is asked for
_MADE_BY_OTHERS = frozenset({1050, 1060, 1061})  # a table, column, index, since we looked
_NOT_ONLINE = frozenset({1845, 1846})


@dataclass(frozen=True)
class TablePlan:
    """What there is to do for a table."""

    table: str
    schema: Destination
    state: str  # for people
    statements: tuple[str, ...] = ()  # what `apply` does, in this order
    by_hand: tuple[str, ...] = ()  # what a person must do, or rows are not written
    notes: tuple[str, ...] = ()  # what may stay as it is

    @property
    def is_done(self) -> bool:
        return not self.statements and not self.by_hand

    def as_json(self) -> dict[str, Any]:
        plain = asdict(self)
        return {"table": plain.pop("table"), **plain.pop("schema")._asdict(), **plain}


def plan_of(schema: Destination, described: sa.Table, found: TableFacts | None) -> TablePlan:
    """What a table needs to be as described. Pure."""
    name = str(described.name)
    if found is None:
        create = create_table_sql(described)
        return TablePlan(name, schema, "missing", (create,))
    if found.owner not in (None, schema):
        why = f"it is that of the schema {found.owner}: the events of {schema} are EventErrors"
        return TablePlan(name, schema, "belongs to another schema", by_hand=(why,))
    lack = lacks(described, found)
    preparer = MYSQL.identifier_preparer
    alter, quoted = f"ALTER TABLE {preparer.format_table(described)}", preparer.quote_identifier
    by_hand = [
        f"{each.name} must not be unique, for it swallows events: {alter} DROP INDEX "
        f"{quoted(each.name)}"
        for each in lack.others
    ] + [
        f"{each} has no value in any event: {alter} ALTER {quoted(each)} SET DEFAULT …"
        for each in lack.needed
    ]
    notes = tuple(
        f"{column} is {is_}, not {stated}: what it can't hold is an EventError"
        for column, (is_, stated) in lack.types.items()
        if column not in lack.doubtful
    )
    if lack.doubtful:
        notes += (
            f"{', '.join(sorted(lack.doubtful))}: the schema got one of these without a new "
            f"revision, so nobody can tell which one the column is of: the values are in {RESCUED}",
        )
    missing = [*lack.columns, *(f"an index {each}" for each in lack.indexes)]
    missing += ["a unique index of uuid"] if lack.unique else []
    state = f"lacks {', '.join(missing)}" if missing else "by hand" if by_hand else "there"
    return TablePlan(name, schema, state, additions(described, lack), tuple(by_hand), notes)


def plans(
    engine: sa.Engine, registry: Registry, schemas: Iterable[Destination]
) -> Iterator[TablePlan]:
    """What there is to do for each of these schemas. Raises FAULTS, RegistryError,
    RegistryUnavailable."""
    names = table_names(registry)
    with engine.connect() as connection:
        for schema in schemas:
            try:
                document = registry.get(*schema)
                described = table(document, schema, names.of(schema))  # if it can't be looked for
                name, found = find(connection, names, schema)
                described = table(document, schema, name)
            except SchemaError as error:
                yield TablePlan("", schema, "not in the registry", notes=(str(error),))
                continue
            except FAULTS as error:
                if isinstance(meant := fault(error), DatabaseAway):
                    raise meant from error
                name = str(described.name)
                yield TablePlan(name, schema, "cannot be read", by_hand=(reason(error),))
                continue
            yield plan_of(schema, described, found)


def apply(engine: sa.Engine, registry: Registry, plan: TablePlan) -> TablePlan:
    """Do what a plan says, as far as it still has to be done. Returns what is left then;
    what the server refuses is for a person.

    Raises DatabaseAway, NoRight, SchemaError, RegistryError, RegistryUnavailable."""
    described = table(registry.get(*plan.schema), plan.schema, plan.table)

    def attempt() -> TablePlan:
        try:
            with engine.connect() as connection:
                connection.exec_driver_sql(_LOCK)
                for statement in _left(connection, plan.schema, described).statements:
                    # A text as it is: its percent signs are no parameters.
                    connection.exec_driver_sql(statement, None, {"no_parameters": True})
                return _left(connection, plan.schema, described)
        except FAULTS as error:
            raise _meant(error) from error

    try:
        return retrying(attempt, (DatabaseAway, TableLocked), patience=_PATIENCE, longest_pause=5.0)
    except (DatabaseAway, NoRight):
        raise
    except MysqlFault as error:
        return replace(plan, by_hand=(*plan.by_hand, str(error)))


def _left(connection: sa.Connection, schema: Destination, described: sa.Table) -> TablePlan:
    return plan_of(schema, described, look(connection, str(described.name)))


def _meant(error: BaseException) -> MysqlFault:
    found = fault(error)
    origin = getattr(error, "orig", None) or error
    code = origin.args[0] if origin.args else 0
    if code in _MADE_BY_OTHERS:
        return TableLocked(str(found))
    if code in _NOT_ONLINE:
        return MysqlFault(
            f"{found}; the server can't do it while others read and write: run what "
            "`el mysql plan` shows without ALGORITHM and LOCK, at a quiet time"
        )
    return found
