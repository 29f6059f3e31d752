"""EventLogging's own tables as docs/BEHAVIOUR.md describes them (section 11), and rows of the test
corpus in them by a plain loader: what queries on our tables are compared with.

Nothing here looks at how we make tables and rows. The loader takes the verdicts of EventLogging
itself, for which the corpus has been through it, and its capsules as json and urllib read them."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pymysql
from dateutil import parser as dates

from traffic.corpus import Json, events

ROOT = Path(__file__).resolve().parents[2]
CATALOG = sorted((ROOT / "schemas" / "catalog").glob("*/*.json"))

LONG = "varchar(1024)"
UUID_V1 = "^[a-fA-F0-9]{8}(-[a-fA-F0-9]{4}){3}-[a-fA-F0-9]{12}$"
_PLAIN = {"boolean": "tinyint(1)", "integer": "bigint(20)", "number": "float"}
_DROPPED = ("recvFrom", "revision", "schema", "seqId", "topic", "ip")


class Column(NamedTuple):
    """A column of the original's."""

    name: str
    type: str  # as SHOW COLUMNS says it
    key: str = ""  # its index: "", "plain" or "unique"


def columns(schema: Json) -> list[Column]:
    """All but `id`, in their order: uuid, then by number of `_`, then by name."""
    fields: Json = {
        **{key: {"type": "string"} for key in ("webHost", "wiki")},
        **{"uuid": {"type": "string", "format": "uuid5-hex"}, "timestamp": {"type": "number"}},
        **{"dt": {"type": "string", "format": "date-time"}, "userAgent": {"type": "any"}},
        "event": schema,
    }
    found = dict(_walk({"properties": fields}, ""))
    return sorted(found.values(), key=lambda c: (c.name != "uuid", c.name.count("_"), c.name))


def _walk(schema: Json, prefix: str) -> Iterator[tuple[str, Column]]:
    for key, value in schema["properties"].items():
        name = prefix + key
        if isinstance(value, dict) and "properties" in value:
            yield from _walk(value, f"{name}_")
        else:
            yield name, _column(name, key, value)


def _column(name: str, leaf: str, schema: Json) -> Column:
    stated = schema.get("type")
    kind, index = _PLAIN.get(stated, LONG) if isinstance(stated, str) else LONG, ""
    if schema.get("format") == "uuid5-hex":
        kind, index = "char(32)", "unique"
    if schema.get("format") == "date-time":
        kind, index = "datetime", "plain"
    if schema.get("pattern") == UUID_V1:
        kind, index = "char(38)", "plain"
    if leaf == "id":
        index = "unique"
    if leaf == "timestamp":
        kind, index = "varchar(14)", "plain"
    return Column(name, kind, index)


def table_of(schema: str, revision: int) -> str:
    """Its name."""
    return re.sub("[^A-Za-z0-9]+", "_", schema) + f"_{revision}"


def create_table(name: str, of: list[Column]) -> str:
    """CREATE TABLE. Only uuid is unique, and letters beyond U+FFFF have room: as it was, rows would
    be missing."""
    parts = ["id INTEGER AUTO_INCREMENT PRIMARY KEY"]
    parts += [f"`{column.name}` {column.type}" for column in of]
    parts += ["UNIQUE KEY (uuid)", "KEY (timestamp)"]
    return f"CREATE TABLE {name} ({', '.join(parts)}) ENGINE=InnoDB CHARSET=utf8mb4"


def load(connection: pymysql.Connection[Any]) -> dict[str, list[str]]:
    """Make all tables of the catalog and fill them; the uuids that each has refused."""
    rows: dict[str, list[Json]] = defaultdict(list)
    for event in events():
        rows[table_of(event["schema"], event["revision"])].append(event)
    refused = {}
    cursor = connection.cursor()
    cursor.execute("SET sql_mode='STRICT_ALL_TABLES', time_zone='+00:00'")
    for path in CATALOG:
        name = table_of(path.parent.name, int(path.stem))
        of = columns(json.loads(path.read_text()))
        cursor.execute(create_table(name, of))
        names = ", ".join(f"`{column.name}`" for column in of)
        insert = f"INSERT INTO {name} ({names}) VALUES ({', '.join(['%s'] * len(of))})"
        refused[name] = [event["uuid"] for event in rows.pop(name, ())
                         if not _insert(cursor, insert, event, of)]  # fmt: skip
    connection.commit()
    assert not rows
    return refused


def _insert(cursor: Any, insert: str, event: Json, of: list[Column]) -> bool:
    flat = dict(_flatten(event, "", {column.name for column in of}))
    flat.setdefault("timestamp", event["dt"])
    try:
        cursor.execute(insert, [_value(flat.get(column.name), column) for column in of])
    except (pymysql.DataError, ValueError, OverflowError):
        return False
    return True


def _flatten(values: Json, prefix: str, known: set[str]) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        name = prefix + key
        if name in known:
            yield name, value
        elif isinstance(value, dict) and name not in _DROPPED:
            yield from _flatten(value, f"{name}_", known)


def _value(value: Any, column: Column) -> Any:
    if value is None:
        return None
    if column.type == "varchar(14)":
        return _moment(value).strftime("%Y%m%d%H%M%S")
    if column.type == "datetime":
        return _moment(value).replace(microsecond=0)
    return json.dumps(value, sort_keys=True) if isinstance(value, (dict, list)) else value


def _moment(value: Any) -> datetime:
    if isinstance(value, (int, float)):
        return datetime.fromtimestamp(value / 1000 if value > 1e12 else value, UTC)
    moment = dates.parse(value)
    return moment.astimezone(UTC) if moment.tzinfo else moment
