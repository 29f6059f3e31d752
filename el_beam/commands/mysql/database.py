"""The options that name a database and schemas, and what they stand for."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from schemas.registry import Registry
    from transforms.io.mysql.server import MysqlServer


def add_action(actions: Any, name: str, summary: str, example: str) -> argparse.ArgumentParser:
    """Add an action of `el mysql`, with the options that all of them have; returns its parser."""
    parser: argparse.ArgumentParser = actions.add_parser(
        name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.", epilog=example
    )
    add = parser.add_argument
    add("uri", metavar="URI", help="mysql://USER@HOST:PORT/DATABASE")
    add("--schemas", metavar="DIR|URL", help="a registry to use instead of the catalog")
    add("--schema", metavar="REGEX", help="only schemas whose name starts like this")
    add("--json", action="store_true", help="a line of JSON for each table")
    return parser


@contextmanager
def database_of(args: argparse.Namespace) -> Iterator[tuple[MysqlServer, Registry]]:
    """The database and the registry that the options name.

    Raises UriError, RegistryError; and MysqlFault, with the database's URI, where the database
    refuses what is done in the block."""
    from el_beam.connectors.mysql import server_of
    from el_beam.uris import parse_uri
    from schemas.registry import open_registry
    from transforms.io.mysql.client import fault
    from transforms.io.mysql.server import SETTINGS
    from transforms.write.mysql_table import FAULTS

    uri = parse_uri(args.uri, {"mysql": frozenset(SETTINGS)}, "database")
    try:
        yield server_of(uri), open_registry(args.schemas)
    except FAULTS as error:
        meaning = fault(error)
        raise type(meaning)(f"{uri}: {meaning}") from error


def check_any(args: argparse.Namespace, chosen: Collection[object]) -> None:
    """Raise StoredError where --schema chooses nothing: a mistyped name in a timer must not be a
    success."""
    from el_beam.connectors.selection import StoredError

    if args.schema and not chosen:
        raise StoredError(f"--schema {args.schema!r}: no schema here has such a name")
