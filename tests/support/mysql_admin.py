"""`el mysql` as people type it, on a database with tables of two schemas and rows of any age."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from el_beam import cli
from schemas.bad_event import BadEvent, Reason, Stage
from schemas.event import Destination, Event
from schemas.registry import open_registry
from traffic.database import Database, event, write

S, T = Destination("S", 1), Destination("T", 1)
HOSTILE = ["`", "``", "a;DROP TABLE S_1;--", "%", "%s", "%(x)s", "%%", ":x", "?", "a.b", "'", '"',
           "é", "\\", "(a)", "key", "` DROP",
           "\u2028DROP TABLE T_1;", "\u202e"]  # fmt: skip
DOCUMENT: dict[str, Any] = {
    "properties": {
        "action": {"type": "string"},
        "n": {"type": "integer"},
        "at": {"type": "string", "format": "date-time"},
        "ids": {"properties": {"id": {"type": "integer"}, "token": {"type": "string"}}},
    }
}
ODD: dict[str, Any] = {"properties": {key: {"type": "string"} for key in HOSTILE}}
ODD["properties"]["id"] = {"properties": {key + "/": {"type": "any"} for key in HOSTILE}}
AGENT = {"browser_family": "Chrome", "is_bot": False, "os_family": "Linux"}
OLD, NEW = timedelta(days=100), timedelta(days=80)


class Admin:
    """`el mysql` on a database, with a registry of two schemas."""

    def __init__(
        self, database: Database, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.database, self.folder, self._capsys = database, folder, capsys
        self.uri = database.uri
        for schema, document in ((S, DOCUMENT), (T, DOCUMENT)):
            self.define(schema, document)

    def define(self, schema: Destination, document: dict[str, Any]) -> None:
        path = self.folder / "schemas" / schema.schema / f"{schema.revision}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document))

    def el(self, action: str, *options: str) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        where = ("--schemas", f"{self.folder}/schemas")
        code = cli.main(["mysql", action, self.uri, *where, *options])
        shown = self._capsys.readouterr()
        assert "Traceback" not in shown.err
        return code, shown.out, shown.err

    def told(self, action: str, *options: str) -> dict[str, dict[str, Any]]:
        """By table, what it says for machines."""
        _, out, _ = self.el(action, "--json", *options)
        return {each["table"]: each for each in map(json.loads, out.splitlines())}

    def purge(self, *options: str) -> tuple[int, str, str]:
        return self.el("purge", "--older-than", "90d", *options)

    def keep(self, **fields: list[str]) -> tuple[str, str]:
        path = self.folder / "keep.yaml"
        path.write_text(json.dumps(fields))
        return "--keep", str(path)

    def write(self, *routed: tuple[Destination, Any]) -> None:
        registry = open_registry(f"{self.folder}/schemas")
        books = write(self.database.sink(registry), routed)
        assert books["written"] == len(routed)


def aged(number: int, age: timedelta, **more: Any) -> Event:
    moment = (datetime.now(UTC) - age).strftime("%Y-%m-%dT%H:%M:%SZ")
    values = {"action": "init", "n": number, "ids": {"id": number, "token": "secret"}}
    return event(number, dt=moment, wiki="enwiki", webHost="w", userAgent=AGENT, event=values,
                 **more)  # fmt: skip


def error(number: int, age: timedelta) -> BadEvent:
    moment = (datetime.now(UTC) - age).strftime("%Y-%m-%dT%H:%M:%SZ")
    return BadEvent(event(number).line, Stage.PARSE, Reason.BAD_JSON, "m", dt=moment)


def status(database: Database, name: str) -> int:
    return int(database.ask(f"SHOW GLOBAL STATUS LIKE '{name}'")[0][1])
