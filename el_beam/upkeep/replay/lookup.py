"""Where a sink's events are to be read again, and which: those of lines that are valid now."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, unquote

from el_beam.connectors.ends import mysql_of, sink_uri
from el_beam.connectors.selection import Selection, StoredError
from el_beam.connectors.stored import STORES, Store, store_of
from el_beam.upkeep.replay.candidates import Candidates
from el_beam.uris import filled
from schemas.event import Destination
from schemas.storage.sql import table_name
from transforms.io.files import filesystem
from transforms.io.kafka.topics import KafkaAway, KafkaTopics
from transforms.write.files import FileSink
from transforms.write.kafka import KafkaSink
from transforms.write.sink import Sink
from transforms.write.tables import SqliteSink
from transforms.write.topics import TopicError


@dataclass(frozen=True)
class _Those(Selection):
    """Some hours, whether they follow each other or not."""

    hours: frozenset[str] = frozenset()  # and their beginnings: 2019, 2019-03, 2019-03-10

    def hour(self, hour: str) -> bool:
        return hour in self.hours


def same_place(end: str, sink: str) -> bool:
    """Whether the URIs of an end and of a sink name one place: what is of a sink may be removed
    there. Topics never are, for nothing goes from these. Raises UriError."""
    return not end.startswith("kafka:") and _place(end) == _place(sink)


def _place(text: str) -> tuple[str, str]:
    if text.startswith("mysql:"):  # whoever connects
        server = mysql_of(sink_uri(text))
        return str(server), server.settings.get("unix_socket", "")
    scheme, _, rest = filled(text.partition("?")[0]).partition(":")
    path = rest[2:] if rest.startswith("///") else rest
    return scheme, path.rstrip("/") if "://" in path or path[:2] == "//" else os.path.realpath(path)


def stored_in(text: str, sink: Sink, found: Iterable[Destination]) -> Store | None:
    """The end that has what a sink has written of these; None where there is nothing yet.

    Raises StoredError."""
    if isinstance(sink, KafkaSink):
        return _topics(text, sink, found)
    path = {FileSink: "root", SqliteSink: "path"}.get(type(sink))
    if path and not filesystem.exists(getattr(sink, path)):
        return None
    return store_of(store_uri(text))


def _topics(text: str, sink: KafkaSink, found: Iterable[Destination]) -> Store | None:
    names = set()
    for each in found:
        try:
            names.add(sink.topic.name(each))
        except TopicError:
            continue  # the sink will reject the event
    try:
        there = sorted(names & KafkaTopics(sink.cluster).partitions().keys())
    except KafkaAway as error:
        raise StoredError(f"{sink}: {error}") from error
    if not there:
        return None
    return store_of(store_uri(text, f"topics={quote(','.join(there))}"))


def store_uri(text: str, *more: str) -> str:
    """The URI of an end, of a sink's: with those of its parameters that ends know."""
    address, _, query = text.partition("?")
    known = STORES[address.partition(":")[0]]
    given = [pair for pair in query.split("&") if unquote(pair.partition("=")[0]) in known]
    return "?".join(filter(None, [address, "&".join([*more, *given])]))


def selection_in(end: Store, lines: Candidates) -> Selection:
    """Which events of an end may be those of these lines."""
    counts = lines.counts()
    names = {table_name(*to) if end.tables else str(to) for to, _, _ in counts}
    schemas = re.compile(f"(?:{'|'.join(map(re.escape, sorted(names)))})\\Z")
    hours = sorted({hour for _, hour, _ in counts})
    if not end.tables:
        beginnings = {hour[:length] for hour in hours for length in (4, 7, 10, 13)}
        return _Those(schemas=schemas, hours=frozenset(beginnings))
    if not lines.all_timed():  # rows without a time
        return Selection(schemas=schemas)
    return Selection(hours[0], hours[-1], schemas)
