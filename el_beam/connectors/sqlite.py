"""SQLite: a database in a local file, with a table for each schema and revision."""

import os
import sqlite3
from pathlib import Path
from urllib.parse import quote

from el_beam.connectors.contract import Connector, NothingStored, Role, Store, Use
from el_beam.uris import Uri, UriError, path_of
from schemas.registry import Registry
from transforms.write.sink import Sink


class SqliteConnector(Connector):
    uses = (
        Use("sink", "sqlite", "PATH", "a table for each schema and revision, in a local file"),
        Use("store", "sqlite", "PATH", "tables, as the sink writes them"),
    )

    def check(self, role: Role, uri: Uri) -> None:
        if "://" in path_of(uri):
            raise UriError(f"{uri}: a database is a local file")

    def sink(self, uri: Uri, registry: Registry, job_id: str) -> Sink:
        from transforms.write.tables import SqliteSink

        return SqliteSink(path_of(uri), registry, str(uri))

    def store(self, uri: Uri) -> Store:
        import sqlalchemy as sa

        from el_beam.connectors.table_store import TableStore

        path = Path(path_of(uri))
        if not path.exists():
            raise NothingStored(f"{uri}: nothing is there")
        address = f"file:{quote(str(path.absolute()))}?mode=ro"
        engine = sa.create_engine(
            "sqlite://", creator=lambda: sqlite3.connect(address, uri=True), poolclass=sa.NullPool
        )
        return TableStore(str(uri), engine)

    def place(self, uri: Uri) -> tuple[str, ...] | None:
        return uri.scheme, os.path.realpath(path_of(uri))
