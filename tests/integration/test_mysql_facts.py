"""What EventLogging's tables were, and what ours are on a real server: every difference is listed
here, by its rule, and there is no other."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator

import pytest
from original_tables import CATALOG, UUID_V1, Column, columns

from schemas.event import Destination
from schemas.registry import Registry, open_registry
from traffic.database import Database, event, write

Difference = tuple[str, str, str]  # column, there, here

EVERYWHERE: set[Difference] = {
    ("userAgent", "varchar(1024)", "text"),  # JSON that is cut is none
    ("_rescued_data", "", "mediumtext"),  # the original's writer died of what has no column
}
JSON: dict[str, tuple[str, ...]] = {
    "CentralNoticeBannerHistory_14321636": ("event_l",),
    "Echo_7731316": ("event_extends_",),
    "MobileWikiAppSessions_18948969": ("event_languages",),
    "SearchSatisfaction_18700292": ("event_extraParams", "event_inputLocation"),
    "UploadWizardFlow_11772725": ("event_error", "event_uploads_types", "event_uploads_inner_tags"),
}
FRACTIONS = {"MobileWikiAppSessions_18948969": ("event_client_dt", "event_ts")}
MAX_LENGTH = {"EventError_14035058": ("event_message", "event_rawEvent")}  # of 4 bytes each
NOT_UNIQUE = {"EmptyAllowed_1": ("event_id",)}  # it swallowed events


def differences(table: str) -> set[Difference]:
    """Those that a table must have."""
    return EVERYWHERE | {
        *((name, "varchar(1024)", "text") for name in JSON.get(table, ())),
        *((name, "datetime", "datetime(6)") for name in FRACTIONS.get(table, ())),
        *((name, "varchar(1024)", "mediumtext") for name in MAX_LENGTH.get(table, ())),
        *((name, "unique", "plain") for name in NOT_UNIQUE.get(table, ())),
    }


@pytest.fixture
def registry() -> Registry:
    return open_registry(None)


@pytest.fixture
def tables(database: Database, registry: Registry) -> dict[str, list[Column]]:
    """The tables of the whole catalog, made by the sink: what they were."""
    where = {Destination(path.parent.name, int(path.stem)): path for path in CATALOG}
    books = write(database.sink(registry), ((to, event(1, event={})) for to in where))
    assert books["written"] == len(where) == 18
    return {str(to): columns(json.loads(path.read_text())) for to, path in where.items()}


def found(database: Database) -> dict[str, list[Column]]:
    """The columns that the server says our tables have."""
    indexes: dict[tuple[str, str], set[int]] = defaultdict(set)
    for table, column, many in database.ask(
        "SELECT table_name, column_name, non_unique FROM information_schema.statistics"
        " WHERE table_schema = DATABASE()"
    ):
        indexes[table, column].add(int(many))
    made = defaultdict(list)
    for table, name, kind, null in database.ask(
        "SELECT table_name, column_name, column_type, is_nullable FROM information_schema.columns"
        " WHERE table_schema = DATABASE() ORDER BY table_name, ordinal_position"
    ):
        if name == "id":
            assert (kind, null) == ("int(11)", "NO")
            continue
        assert null == "YES"
        index = {(): "", (0,): "unique", (1,): "plain"}[tuple(indexes[table, name])]
        made[table].append(Column(name, kind, index))
    return made


def differing(there: list[Column], here: list[Column]) -> Iterator[Difference]:
    was = {column.name: column for column in there}
    for name, kind, index in here:
        original = was.pop(name, Column(name, ""))
        if kind != original.type:
            yield name, original.type, kind
        if index != original.key:
            yield name, original.key, index
    yield from ((name, "there", "missing") for name in was)


def test_the_list_of_differences_is_exact(
    database: Database, tables: dict[str, list[Column]]
) -> None:
    ours = found(database)
    assert ours.keys() == tables.keys()
    assert {name: {*differing(there, ours[name])} for name, there in tables.items()} == {
        name: differences(name) for name in tables
    }
    for name, there in tables.items():  # nor is their order another
        assert [column.name for column in ours[name]] == [
            *(column.name for column in there), "_rescued_data",
        ]  # fmt: skip


BEYOND: dict[str, tuple[dict[str, object], str, str]] = {  # schema, there, here
    "i": ({"type": ["integer", "null"]}, "varchar(1024)", "bigint(20)"),
    "b": ({"type": ["null", "boolean"]}, "varchar(1024)", "tinyint(1)"),
    "n": ({"type": ["number", "null"]}, "varchar(1024)", "float"),
    "s": ({"type": ["string", "null"]}, "varchar(1024)", "varchar(1024)"),
    "si": ({"type": ["string", "integer"]}, "varchar(1024)", "text"),
    "t": ({"type": ["string", "null"], "format": "date-time"}, "datetime", "datetime(6)"),
    "any": ({"format": "date-time"}, "datetime", "text"),
    "hex": ({"type": "any", "format": "uuid5-hex"}, "char(32)", "text"),
    "v1": ({"pattern": UUID_V1}, "char(38)", "text"),
}


def test_what_differs_beyond_the_catalog(
    database: Database, registry_of: Callable[..., Registry]
) -> None:
    """As docs/mysql.md says: null beside a type doesn't count, and a format or a pattern does for
    texts alone."""
    schema = {"properties": {key: of for key, (of, *_) in BEYOND.items()}}
    to = Destination("S", 1)
    write(database.sink(registry_of({to: schema})), [(to, event(1, event={}))])
    there = {column.name: column for column in columns(schema)}
    here = {column.name: column for column in found(database)["S_1"]}
    for key, (_, was, is_) in BEYOND.items():
        assert (there[f"event_{key}"].type, here[f"event_{key}"].type) == (was, is_), key
        assert here[f"event_{key}"].key == ("plain" if key == "t" else "")


def test_what_holds_for_whole_tables(database: Database, tables: dict[str, list[Column]]) -> None:
    """InnoDB and utf8mb4 instead of TokuDB and utf8, compared as utf8 was; a CHECK for no BOOL;
    `id` counts up by itself, as it did."""
    assert database.ask(
        "SELECT DISTINCT engine, table_collation FROM information_schema.tables"
        " WHERE table_schema = DATABASE()"
    ) == [("InnoDB", "utf8mb4_general_ci")]
    assert any(column.type == "tinyint(1)" for of in tables.values() for column in of)
    assert database.ask(
        "SELECT COUNT(*) FROM information_schema.check_constraints"
        " WHERE constraint_schema = DATABASE()"
    ) == [(0,)]
    assert database.ask(
        "SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE()"
        " AND column_name = 'id' AND column_key = 'PRI' AND extra = 'auto_increment'"
    ) == [(len(tables),)]


def test_the_facts_themselves() -> None:
    """As the original made them of a schema with all kinds of properties."""
    schema = {
        "properties": {
            "a": {"type": "array"}, "b": {"type": "boolean"}, "i": {"type": "integer"},
            "n": {"type": "number"}, "s": {"type": "string", "maxLength": 9000},
            "u": {"type": ["integer", "null"]}, "any": {}, "o": {"type": "object"},
            "d": {"type": "string", "format": "date-time"}, "x.y": {"type": "integer"},
            "h": {"type": "string", "format": "uuid5-hex"},
            "deep": {"properties": {"id": {"type": "string"}, "timestamp": {"type": "integer"}}},
        }
    }  # fmt: skip
    long = "varchar(1024)"
    assert [tuple(column) for column in columns(schema)] == [
        ("uuid", "char(32)", "unique"), ("dt", "datetime", "plain"),
        ("timestamp", "varchar(14)", "plain"), ("userAgent", long, ""), ("webHost", long, ""),
        ("wiki", long, ""), ("event_a", long, ""), ("event_any", long, ""),
        ("event_b", "tinyint(1)", ""), ("event_d", "datetime", "plain"),
        ("event_h", "char(32)", "unique"), ("event_i", "bigint(20)", ""),
        ("event_n", "float", ""), ("event_o", long, ""), ("event_s", long, ""),
        ("event_u", long, ""), ("event_x.y", "bigint(20)", ""), ("event_deep_id", long, "unique"),
        ("event_deep_timestamp", "varchar(14)", "plain"),
    ]  # fmt: skip
