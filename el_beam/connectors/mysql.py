"""MariaDB and MySQL: a table for each schema and revision.

mysql://USER@HOST:PORT/DATABASE; see transforms/io/mysql/server.py for how it is reached.
"""

import re
from typing import Final
from urllib.parse import unquote

from el_beam.connectors.contract import Connector, Role, Store, Use
from el_beam.uris import Uri, UriError, filled
from schemas.registry import Registry
from transforms.io.mysql.server import SETTINGS, MysqlServer
from transforms.io.secrets import SettingsError
from transforms.write.sink import Sink

_URI = re.compile(r"//(?P<user>[^:@/]*)(?::(?P<password>.*))?@(?P<address>[^@]*)", re.DOTALL)
_REST = "//USER@HOST:PORT/DATABASE"
_BOTS = ("keep", "drop")
_PARAMETERS = {"bots": "keep (the default), or drop: events of bots are left out"}
_SILENT: Final = 3600.0  # seconds that a database may take to find rows


class MysqlConnector(Connector):
    uses = (
        Use("sink", "mysql", _REST, "a table for each schema and revision, in MariaDB",
            _PARAMETERS, SETTINGS),
        Use("store", "mysql", _REST, "tables, as the sink writes them", _PARAMETERS, SETTINGS),
    )  # fmt: skip

    def check(self, role: Role, uri: Uri) -> None:
        server_of(uri), _drops_bots(uri)

    def sink(self, uri: Uri, registry: Registry, job_id: str) -> Sink:
        from transforms.write.mysql import MysqlSink

        return MysqlSink(server_of(uri), registry, str(uri), drops_bots=_drops_bots(uri))

    def store(self, uri: Uri) -> Store:
        from el_beam.connectors.table_store import TableStore
        from transforms.io.mysql.client import engine

        return TableStore(str(uri), engine(server_of(uri), answer=_SILENT), _drops_bots(uri))

    def place(self, uri: Uri) -> tuple[str, ...] | None:
        server = server_of(uri)  # whoever connects
        return uri.scheme, str(server), server.settings.get("unix_socket", "")


def server_of(uri: Uri) -> MysqlServer:
    """The database of a URI. Raises UriError."""
    match = _URI.fullmatch(uri.written)
    if not match:
        raise UriError(f"{uri}: write mysql://USER@HOST:PORT/DATABASE")
    address, _, database = filled(match["address"]).partition("/")
    given = dict(uri.parameters)
    try:
        if match["password"] is not None:
            if "password" in given:
                raise SettingsError("the password is given twice")
            given["password"] = match["password"]
        return MysqlServer.of(unquote(filled(match["user"])), address, unquote(database), given)
    except SettingsError as error:
        raise UriError(f"{uri}: {error}") from error


def _drops_bots(uri: Uri) -> bool:
    """Whether a database has no events of bots. Raises UriError."""
    bots = uri.parameters.get("bots", _BOTS[0])
    if bots not in _BOTS:
        raise UriError(f"{uri}: bots must be {' or '.join(_BOTS)}, not {bots!r}")
    return bots == "drop"
