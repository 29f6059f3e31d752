"""What a table of a database is: whose, with which columns and indexes."""

from collections import defaultdict
from typing import Any

import sqlalchemy as sa

from schemas.storage.sql import owner_of
from schemas.storage.sql_changes import ColumnFacts, Index, TableFacts
from transforms.io.mysql.client import MysqlFault


def look(connection: sa.Connection, name: str) -> TableFacts | None:
    """The table of that name; None where there is none. Raises DBAPIError, MysqlFault."""
    if not connection.dialect.has_table(connection, name):
        return None
    quoted = connection.dialect.identifier_preparer.quote(sa.quoted_name(name, quote=True))
    create = connection.exec_driver_sql(f"SHOW CREATE TABLE {quoted}").one()[1]
    if not create.startswith("CREATE TABLE"):
        raise MysqlFault("it is a view, or no table of its own")
    columns = connection.exec_driver_sql(f"SHOW COLUMNS FROM {quoted}").mappings().all()
    return TableFacts(owner_of(create), tuple(map(_column, columns)), _indexes(connection, quoted))


def _column(told: Any) -> ColumnFacts:
    null, more = told["Null"] == "YES", told["Extra"]
    given = told["Default"] is not None or more != ""  # AUTO_INCREMENT, GENERATED
    generated = any(word in more for word in ("VIRTUAL", "STORED", "PERSISTENT"))
    return ColumnFacts(told["Field"], told["Type"], null, not null and not given, generated)


def _indexes(connection: sa.Connection, quoted: str) -> tuple[Index, ...]:
    parts = defaultdict(list)
    for part in connection.exec_driver_sql(f"SHOW INDEX FROM {quoted}").mappings():
        parts[part["Key_name"]].append(part)
    return tuple(
        Index(
            name,
            unique=not its[0]["Non_unique"],
            columns=tuple(str(each["Column_name"]) for each in its),
            whole=all(each["Sub_part"] is None for each in its),
        )
        for name, its in parts.items()
    )
