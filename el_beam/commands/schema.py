"""`el schema`: which schemas there are, and what one says."""

import argparse
import codecs
import json
import re
import sys
from collections import defaultdict
from contextlib import suppress
from typing import Any

from el_beam.config.alike import alike
from el_beam.terminal.console import printable
from schemas.event import Destination
from schemas.registry import Registry, SchemaError, UnknownSchema, open_registry
from schemas.storage.columns import is_utf8
from schemas.storage.table_names import table_names
from transforms.layout import schema_in

_PREFIX = re.compile("(?:eventlogging|event)[_.]", re.IGNORECASE)  # of topics and datasets


def register(add_parser: Any) -> None:
    actions = add_parser().add_subparsers(title="actions", metavar="ACTION", required=True)
    lister = actions.add_parser("list", help="all schemas of the registry, with their revisions")
    lister.add_argument("--json", action="store_true", help="print it as JSON")
    lister.set_defaults(command=list_schemas)
    shower = actions.add_parser("show", help="a schema, its columns and its SQL table")
    shower.add_argument("name", metavar="NAME[/REVISION]", help="by default the latest revision; "
                        "as tables, topics and folders are called, too: Edit_13457736")  # fmt: skip
    shower.add_argument("--json", action="store_true", help="only the schema itself, as JSON")
    shower.set_defaults(command=show_schema)
    for action in (lister, shower):
        action.add_argument("--schemas", metavar="DIR|URL",
                            help="a registry to use instead of the catalog")  # fmt: skip


def list_schemas(args: argparse.Namespace) -> int:
    """Print every schema and its revisions, and what of the registry can't be used."""
    registry = open_registry(args.schemas)
    destinations = registry.list()
    if args.json:
        print(json.dumps([destination._asdict() for destination in destinations]))
    else:
        revisions: defaultdict[str, list[int]] = defaultdict(list)
        for schema, revision in destinations:
            revisions[schema].append(revision)
        width = max(map(len, revisions))
        for schema, its in revisions.items():
            print(printable(f"{schema:{width}}  {' '.join(map(str, its))}"))
    for problem in registry.problems():
        print(printable(f"{args.prog}: unusable: {problem}"), file=sys.stderr)
    for limit in (*registry.limits(), *alike(registry)):
        print(printable(f"{args.prog}: note: {limit}"), file=sys.stderr)
    return 0


def show_schema(args: argparse.Namespace) -> int:
    """Print a schema, the columns it makes, and its table."""
    name, _, revision = args.name.rpartition("/") if "/" in args.name else (args.name, "", "")
    if revision and not (revision.isdecimal() and len(revision) <= 18):  # a nested name alone
        name, revision = args.name, ""
    try:
        registry = open_registry(args.schemas)
        if not revision:
            name, revision = _table(registry, name)
        number = int(revision) if revision else _latest(registry, name)
        document = registry.get(name, number)
    except SchemaError as error:
        raise SchemaError(f"{error}; `el schema list` shows what there is") from error
    text = json.dumps(document, indent=2, ensure_ascii=False)
    if codecs.lookup(sys.stdout.encoding).name != "utf-8" or not is_utf8(text):
        text = json.dumps(document, indent=2)
    print(text)
    if not args.json:
        destination = Destination(name, number)
        _show_columns(document, destination, table_names(registry).of(destination))
    return 0


def _table(registry: Registry, name: str) -> tuple[str, str]:
    """(schema, revision) of what tables, topics and folders are called, in any case; another name
    as it is. Raises UnknownSchema where several may be meant."""
    found, tables = registry.list(), table_names(registry)
    if any(each.schema == name for each in found):
        return name, ""
    if folder := schema_in(name):  # a wiki has no list
        with suppress(SchemaError):
            registry.get(*folder)
            return folder.schema, str(folder.revision)
    for each in found:  # names that differ by case alone are of different schemas
        if name == tables.of(each):
            return each.schema, str(each.revision)
    called = {_plain(name), _plain(_PREFIX.sub("", name))}
    meant = {
        *((each.schema, str(each.revision)) for each in found
          if not called.isdisjoint((_plain(str(each)), _plain(tables.of(each))))),
        *((each.schema, "") for each in found if _plain(each.schema) in called),
    }  # fmt: skip
    if len(meant) > 1:
        shown = ", ".join("/".join(filter(None, each)) for each in sorted(meant))
        raise UnknownSchema(f"{name!r:.100} may be {shown}")
    return meant.pop() if meant else (name, "")


def _plain(name: str) -> str:
    return re.sub("[^a-z0-9]+", "_", name.casefold()).strip("_")


def _latest(registry: Registry, name: str) -> int:
    revisions = [revision for schema, revision in registry.list() if schema == name]
    if not revisions:
        raise UnknownSchema(f"there is no schema {name!r:.100}")
    return int(max(revisions))


def _show_columns(document: dict[str, Any], destination: Destination, called: str) -> None:
    from schemas.storage.arrow import arrow_schema
    from schemas.storage.sql import create_table_sql, table

    print(f"\nIn Parquet, {destination}:")
    print(arrow_schema(document).to_string(show_field_metadata=False))
    print("\nIn SQL:")
    print(f"{create_table_sql(table(document, destination, called))};\n")
