"""Connections to a MysqlServer, what the database's errors mean, and what is known of a table."""

import ssl
from collections import defaultdict
from typing import Any, Final

import pymysql
import sqlalchemy as sa
from sqlalchemy.engine.interfaces import IsolationLevel

from schemas.errors import ElBeamError
from schemas.event import Destination
from schemas.storage.sql import ColumnFacts, Index, TableFacts
from schemas.storage.table_names import Names, Taken, owner_of
from transforms.io.mysql.server import MysqlServer
from transforms.io.secrets import SettingsError, content

_CONNECT = 10.0  # seconds to reach the server
_ANSWER = 60.0  # seconds that it may take for a statement
_LOCK = 5  # seconds that a statement waits for a lock
_SESSION: Final = (
    "SET SESSION sql_mode='STRICT_ALL_TABLES,STRICT_TRANS_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,"
    "ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', time_zone='+00:00', "
    "lock_wait_timeout={0}, innodb_lock_wait_timeout={0} /*M!100100 , max_statement_time=0 */"
)
"""Whatever the server's own settings are: a value is held or refused, never changed, and a
backslash in a literal is what the client means by it."""

_KEPT: Final = " /*M!100300 , idle_transaction_timeout=120 */"
"""Where a connection is kept, MariaDB ends a transaction whose client has vanished with its host:
else its locks would stay for hours."""

_RIGHTS = "docs/mysql.md says which rights this needs"
_REPLICA = "is it a replica? Write to the server that it follows"
_SENTENCES: Final = {
    167: "its ids are used up: ALTER TABLE … MODIFY id BIGINT NOT NULL AUTO_INCREMENT",
    1045: "docs/mysql.md says how a password is given",
    1044: f"the user may not use this database; {_RIGHTS}",
    1049: "is its name right? CREATE DATABASE … CHARACTER SET utf8mb4 makes it",
    **dict.fromkeys((1142, 1143, 1370), _RIGHTS),
    **dict.fromkeys((1290, 1836), _REPLICA),
    1364: "`el mysql plan` says what to do",
}


class MysqlFault(ElBeamError):
    """The database refuses, and will again; the message is for people."""

    exit_code = 2


class DatabaseAway(MysqlFault):
    """The server can't be reached, or has let go of us. It will be back."""

    exit_code, transient = 1, True


class TableLocked(MysqlFault):
    """Others hold a lock, or the table has just changed. It will be free."""

    exit_code, transient = 1, True


class NoRight(MysqlFault):
    """The user may not do this."""


class ValueRefused(MysqlFault):
    """A column can't hold a value of one of the rows."""


_CODES: Final[dict[type[MysqlFault], tuple[int, ...]]] = {
    DatabaseAway: (
        *(2002, 2003, 2006, 2013, 2014, 2027, 2055),  # no connection, or none any more
        *(1040, 1203, 1226),  # too many of them
        *(1053, 1927),  # shut down, killed
        *(1047, 1158, 1159, 1160, 1161),  # a cluster or a network that isn't well
    ),
    TableLocked: (
        *(1205, 1213, 1412, 1615),
        *(1317, 1969, 3024),  # the statement was interrupted, or took too long
        *(1054, 1146),  # a column or the table is gone
    ),
    NoRight: (1044, 1142, 1143, 1370),
    ValueRefused: (
        *(1048, 1118, 1264, 1265, 1292, 1366, 1367, 1406, 1411, 1416, 1525, 1690),
        *(3140, 3819, 4025),  # what a check says
    ),
}
_MEANS: Final = {code: kind for kind, codes in _CODES.items() for code in codes}


def engine(
    server: MysqlServer, *, answer: float = _ANSWER, lock: int | None = None, keep: bool = False,
    isolation: IsolationLevel | None = None,
) -> sa.Engine:  # fmt: skip
    """A new engine, whose connections are in strict mode, UTC and utf8mb4, and make transactions.

    `answer` is for how many seconds a statement may be silent, `lock` how many of them it may wait
    for a lock. With `keep` there is one connection, tried before each use; without it each use
    makes one. `isolation` is that of all transactions, unless it is the server's. It is set when a
    connection is made: if an engine's `execution_options` have it, SQLAlchemy sets it at each use,
    and if the server dies then, keeps the connection for as long as anybody has the error."""
    pool: dict[str, Any] = {"poolclass": sa.NullPool}
    if keep:
        pool = {"pool_size": 1, "max_overflow": 0, "pool_pre_ping": True}
    if isolation:
        pool["isolation_level"] = isolation
    session = _SESSION.format(lock or _LOCK) + (_KEPT if keep else "")
    return sa.create_engine(
        "mysql+pymysql://", creator=lambda: _connect(server, answer, session), **pool
    )


def _connect(server: MysqlServer, answer: float, session: str) -> Any:
    """Raises MysqlFault, pymysql.Error."""
    try:
        connection = pymysql.connect(
            host=server.host, port=server.port, unix_socket=server.settings.get("unix_socket"),
            user=server.user, password=server.password(), database=server.database,
            charset="utf8mb4", init_command=session, autocommit=False,
            connect_timeout=_CONNECT, read_timeout=answer, write_timeout=answer, **_tls(server),
        )  # fmt: skip
    except pymysql.Error as error:
        if _mistrusted(error):
            raise MysqlFault(reason(error)) from error  # waiting doesn't mend it
        if error.args[:1] in ((2006,), (2013,)) and "ssl_cert" in server.settings:
            # A server that refuses it may have hung up before its reason is read.
            error.args = error.args[0], f"{error.args[1]}; does the server accept ssl_cert?"
        if error.args[:1] == (2003,) and (path := server.settings.get("unix_socket")):
            # PyMySQL names the host
            error.args = 2003, f"Can't connect to MySQL server at {path}"
        raise
    except (SettingsError, RuntimeError) as error:  # PyMySQL lacks what a way to log in needs
        raise MysqlFault(str(error)) from error
    if connection.escape("\\") != r"'\\'":
        connection.close()
        raise MysqlFault("the server keeps NO_BACKSLASH_ESCAPES, whatever a session says")
    return connection


def _mistrusted(error: pymysql.Error) -> bool:
    """Whether one of the two says that the other's certificate is wrong."""
    cause = getattr(error, "original_exception", None) or error.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return True
    return isinstance(cause, ssl.SSLError) and "ALERT" in (cause.reason or "")


def _tls(server: MysqlServer) -> dict[str, Any]:
    mode, given = server.ssl_mode, server.settings
    if mode in ("DISABLED", "PREFERRED"):
        return {"ssl_disabled": mode == "DISABLED"}
    for name in ("ssl_ca", "ssl_cert", "ssl_key"):
        if name in given:
            content(given[name], name)  # TLS wouldn't say which is missing
    try:
        context = ssl.create_default_context(cafile=given.get("ssl_ca"))
        context.check_hostname = mode == "VERIFY_IDENTITY"
        if mode == "REQUIRED":
            context.verify_mode = ssl.CERT_NONE
        if "ssl_cert" in given:
            context.load_cert_chain(given["ssl_cert"], given["ssl_key"])
    except OSError as error:
        raise MysqlFault(f"ssl_ca, ssl_cert or ssl_key: {error}") from error
    return {"ssl": context}


def reason(error: BaseException) -> str:
    """An error of the database, or SQLAlchemy's about one, in a line for people."""
    origin = getattr(error, "orig", None) or error
    if not isinstance(origin, pymysql.Error) or len(origin.args) < 2:
        return " ".join(str(origin).split()) or type(origin).__name__
    code, text = origin.args[:2]
    told = " ".join(str(text).split()) or "the connection is lost"
    more = f"; {_SENTENCES[code]}" if code in _SENTENCES else ""
    return f"{told} ({code}){more}" if code else told


def fault(error: BaseException) -> MysqlFault:
    """What an error of the database means. What isn't known to pass isn't waited for."""
    origin = getattr(error, "orig", None) or error
    if isinstance(origin, MysqlFault):
        return origin
    code = origin.args[0] if origin.args else 0
    told = reason(error)
    if isinstance(origin, pymysql.InterfaceError):
        return DatabaseAway(told)
    if isinstance(origin, pymysql.InternalError) and not isinstance(code, int):
        return DatabaseAway(told)  # packets that make no sense: some are lost
    return _MEANS.get(code, MysqlFault)(told)


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


def find(
    connection: sa.Connection, names: Names, schema: Destination
) -> tuple[str, TableFacts | None]:
    """The name of a schema's table, and the table, or None if there is none yet. Raises DBAPIError,
    MysqlFault."""
    seen: dict[str, TableFacts | None] = {}

    def taken(name: str) -> Taken | None:
        found = seen[name] = look(connection, name)
        return Taken(name, found.owner) if found else None

    name = names.choose(schema, taken)
    return name, seen.get(name)


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
