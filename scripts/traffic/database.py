"""A database for tests: what is in it, and events written to it as a job writes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from typing import Any

import pymysql

from el_beam.connectors.registry import checked_uri, sink_of
from schemas.bad_event import BadEvent
from schemas.event import Destination, Event, Origin, RawLine
from schemas.registry import Registry
from transforms.route import Choice
from transforms.write.events import _WriteFn
from transforms.write.sink import Receipt, Sink

_BOOKS = ("given", "written", "rejected", "repeated", "filtered")
Routed = tuple[Destination, Event | BadEvent]


class Database:
    """A database of the stack's MariaDB, made anew."""

    def __init__(self, address: str, name: str) -> None:
        """`address` is host:port."""
        self.address, self.name = address, name
        self.uri = f"mysql://el@{address}/{name}"
        with closing(self.connect(database="el")) as connection:
            for sql in (f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name}"):
                connection.cursor().execute(sql)

    def connect(self, **more: Any) -> pymysql.Connection[Any]:
        """A connection of its own, without transactions."""
        host, _, port = self.address.partition(":")
        given: dict[str, Any] = {"user": "el", "database": self.name, "autocommit": True} | more
        return pymysql.connect(host=host, port=int(port), **given)

    def ask(self, *sql: str) -> list[tuple[Any, ...]]:
        """The answer to the last of these statements."""
        with closing(self.connect()) as connection, connection.cursor() as cursor:
            for each in sql:
                cursor.execute(each)
            return list(cursor.fetchall())

    def rows(self, table: str) -> list[dict[str, Any]]:
        """All rows of a table, in their order."""
        with closing(self.connect(cursorclass=pymysql.cursors.DictCursor)) as connection:
            cursor = connection.cursor()
            cursor.execute(f"SELECT * FROM `{table}` ORDER BY id")
            return list(cursor.fetchall())

    def count(self, table: str) -> int:
        """Rows of a table."""
        return int(self.ask(f"SELECT COUNT(*) FROM `{table}`")[0][0])

    def sink(self, registry: Registry, more: str = "", uri: str = "") -> Sink:
        """A sink; `more` are parameters, `?bots=drop`."""
        return sink_of(checked_uri("sink", f"{uri or self.uri}{more}"), registry, "job")


def event(number: int, *, split: str = "a-0", **more: Any) -> Event:
    """An event with a uuid of its own; `more` are fields of its capsule."""
    data = {"uuid": f"{number:032x}", "dt": "2019-03-10T07:00:00Z", "event": {"n": number}}
    return Event(data | more, RawLine(b"raw", Origin("file", "a.log", number, 1.0, split)))


def write(sink: Sink, routed: Iterable[Routed]) -> Mapping[str, int]:
    """One bundle, as a job writes it, rejected events and all; gives its books but for zeros."""
    found: list[Receipt] = []
    writing = _WriteFn(sink, Choice())
    writing.setup()
    try:
        writing.start_bundle()
        for each in routed:
            writing.process(each)
        found += (windowed.value for windowed in writing.finish_bundle())
    finally:
        writing.teardown()
    return {name: count for name in _BOOKS if (count := sum(getattr(r, name) for r in found))}
