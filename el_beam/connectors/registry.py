"""Which connectors there are, and what they make of the URIs that people write.

Ours, and those of other packages: each is an entry point of the group `el_beam.connectors`, which
names an object of class Connector.
"""

import textwrap
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Final

from el_beam.connectors.contract import Connector, Role, Store, StoredError, Use
from el_beam.connectors.files import FilesConnector
from el_beam.connectors.kafka import KafkaConnector
from el_beam.connectors.mysql import MysqlConnector
from el_beam.connectors.sqlite import SqliteConnector
from el_beam.connectors.stdio import StdioConnector
from el_beam.uris import Uri, UriError, parse_uri
from schemas.errors import WrongCall
from schemas.event import Destination
from schemas.registry import Registry
from transforms.counts.totals import KafkaMetrics
from transforms.read.lines import Source
from transforms.write.sink import Sink

GROUP: Final = "el_beam.connectors"  # of entry points
_OURS = (FilesConnector(), SqliteConnector(), MysqlConnector(), KafkaConnector(), StdioConnector())
_WIDTH, _COLUMN = 80, 26  # of the help's table, and where its sentences begin


class BadConnector(WrongCall):
    """A connector that can't be used; the message says which and why."""


@cache
def _connectors() -> list[Connector]:
    from importlib.metadata import entry_points  # which takes longer than all else here

    connectors = list[Connector](_OURS)
    for each in entry_points(group=GROUP):
        try:
            _add(connectors, each.load())
        except Exception as error:  # what is not ours may raise anything
            raise BadConnector(f"the connector {each.name} ({each.value}): {error}") from error
    return connectors


def _add(connectors: list[Connector], connector: Connector) -> None:
    known = {(use.role, use.scheme) for each in connectors for use in each.uses}
    for use in connector.uses:
        if (use.role, use.scheme) in known:
            raise BadConnector(f"there is a {use.role} {use.scheme}: already")
    connectors.append(connector)


def register(connector: Connector) -> None:
    """Add a connector to this process. Raises BadConnector where another one has its scheme."""
    _add(_connectors(), connector)


def unregister(connector: Connector) -> None:
    """Take a connector out again."""
    _connectors().remove(connector)


def uses(role: Role) -> dict[str, Use]:
    """The schemes that can be used in a role."""
    return {use.scheme: use for each in _connectors() for use in each.uses if use.role == role}


def parameters(role: Role) -> Mapping[str, frozenset[str]]:
    """The same schemes, and the names of all parameters that each takes."""
    return {scheme: use.names for scheme, use in uses(role).items()}


def one_process(uri: Uri) -> bool:
    """Whether a URI names something that belongs to the process that runs the job."""
    roles = (uses("source"), uses("sink"))
    return any(role[uri.scheme].one_process for role in roles if uri.scheme in role)


def checked_uri(role: Role, text: str) -> Uri:
    """Parse a URI, and check it without opening anything. Raises UriError."""
    uri = parse_uri(text, parameters(role), role)
    _connector(uri, role).check(role, uri)
    return uri


def _connector(uri: Uri, role: Role) -> Connector:
    return next(each for each in _connectors() for use in each.uses
                if (use.role, use.scheme) == (role, uri.scheme))  # fmt: skip


def source_of(uri: Uri) -> Source:
    """Make the source of a checked URI. Raises UnreadableInput where there is nothing to read."""
    return _connector(uri, "source").source(uri)


def sink_of(uri: Uri, registry: Registry, job_id: str) -> Sink:
    """Make the sink of a checked URI."""
    return _connector(uri, "sink").sink(uri, registry, job_id)


def metrics_of(uri: Uri) -> KafkaMetrics:
    """Make the counts topic of a checked URI."""
    return _connector(uri, "metrics").metrics(uri)


def store_of(text: str) -> Store:
    """The store of a URI. Raises StoredError for one that is wrong, or where nothing is."""
    try:
        uri = checked_uri("store", text)
        return _connector(uri, "store").store(uri)
    except (UriError, OSError) as error:
        raise StoredError(str(error)) from error


def written_by(sink: str, destinations: Iterable[Destination]) -> Store | None:
    """The store that has what the sink of a URI has written of these destinations; None where
    there is nothing yet. Raises StoredError."""
    try:
        uri = checked_uri("sink", sink)
        return _connector(uri, "sink").written(uri, destinations)
    except (UriError, OSError) as error:
        raise StoredError(str(error)) from error


def same_place(store: str, sink: str) -> bool:
    """Whether the URIs of a store and of a sink name one place, so that what the store has may be
    removed by the sink. Raises UriError."""
    stored, written = checked_uri("store", store), checked_uri("sink", sink)
    place = _connector(stored, "store").place(stored)
    return place is not None and place == _connector(written, "sink").place(written)


def help_table() -> str:
    """All sources and sinks with their parameters, for `el run --help`."""
    lines: list[str] = []
    settings: dict[str, Mapping[str, str]] = {}
    for role in ("source", "sink"):
        lines += [f"{role}s:"]
        for use in uses(role).values():
            lines += _row(f"  {use.example}", use.help)
            for name, sentence in use.parameters.items():
                lines += _row(f"      {name}=", sentence)
            if use.settings:
                settings[use.scheme] = use.settings
        lines += [""]
    for scheme, known in settings.items():
        lines += _row(f"how {scheme}: connects:", ", ".join(known))
    return "\n".join(lines)


def _row(left: str, sentence: str) -> list[str]:
    indent = " " * _COLUMN
    wrapped = textwrap.wrap(sentence, _WIDTH - _COLUMN, break_on_hyphens=False)
    if len(left) >= _COLUMN:
        return [left, *(indent + line for line in wrapped)]
    first, *others = wrapped or [""]
    return [f"{left:<{_COLUMN}}{first}".rstrip(), *(indent + line for line in others)]
