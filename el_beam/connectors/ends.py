"""The ends of a job: sources, sinks and metrics, made of the URIs that people write."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from el_beam.uris import Uri, UriError, filled, parse_uri, size
from transforms.io.kafka.cluster import SETTINGS, KafkaCluster, KafkaSettingsError
from transforms.io.mysql.server import SETTINGS as OF_MYSQL
from transforms.io.mysql.server import MysqlServer, MysqlSettingsError

if TYPE_CHECKING:
    from schemas.registry import Registry
    from transforms.counts.metrics import KafkaMetrics
    from transforms.read.lines import Source
    from transforms.write.sink import Sink

SOURCES: dict[str, frozenset[str]] = {
    "file": frozenset({"split"}),
    "kafka": frozenset({"topics", "pattern", "group", "start"}) | SETTINGS,
    "stdin": frozenset(),
}
SINKS: dict[str, frozenset[str]] = {
    scheme: frozenset() for scheme in ("jsonl", "parquet", "raw", "sqlite", "stdout")
} | {
    "kafka": frozenset({"topic", "key", "partitions", "replication"}) | SETTINGS,
    "mysql": OF_MYSQL | {"bots"},
}
METRICS = {"kafka": frozenset({"topic"}) | SETTINGS}
RAW_TOPICS = {"kafka": frozenset({"topic", "partitions"}) | SETTINGS}
_STARTS = ("earliest", "latest")
_BOTS = ("keep", "drop")
_MYSQL = re.compile(r"//(?P<user>[^:@/]*)(?::(?P<password>.*))?@(?P<where>[^@]*)", re.DOTALL)
FILE_SYSTEMS = ("hdfs", "gs")  # beside local paths
_AUTHORITY = {
    "hdfs": re.compile(r"(?:[\w.-]+@)?(?:[\w.-]+|\[[0-9A-Fa-f:]+\])(?::\d{1,5})?/.+"),
    "gs": re.compile(r"[a-z0-9][\w.-]+/.+"),
}
_EXAMPLES = {"hdfs": "hdfs://HOST:PORT/PATH, the port of WebHDFS", "gs": "gs://BUCKET/PATH"}


def source_uri(text: str) -> Uri:
    """Parse the URI of a source, and check it without opening anything. Raises UriError."""
    if not text:
        raise UriError("no source: say what to read, as file:PATH")
    uri = parse_uri(text, SOURCES, "source")
    if uri.scheme == "kafka":
        _kafka_source(uri)
    elif uri.scheme == "stdin":
        _no_path(uri)
    else:
        _path(uri)
        _split_bytes(uri)
    return uri


def source_of(uri: Uri) -> Source:
    """Make the source of a checked URI. Raises UnreadableInput where there are no such files."""
    from transforms.read.lines import FileSource, StdinSource

    if uri.scheme == "stdin":
        return StdinSource()
    if uri.scheme == "kafka":
        return _kafka_source(uri)
    source = FileSource(tuple(_path(uri).split(",")), **_split_bytes(uri))
    source.splits()  # refuses what isn't there
    return source


def _split_bytes(uri: Uri) -> dict[str, int]:
    split = {"split_bytes": size(uri.parameters["split"])} if "split" in uri.parameters else {}
    if split.get("split_bytes", 1) < 1:
        raise UriError("split must be 1 byte or more")
    return split


def _no_path(uri: Uri) -> None:
    if uri.rest:
        raise UriError(f"{uri.scheme}: takes no path")


def _kafka_source(uri: Uri) -> Source:
    from transforms.read.kafka import KafkaSource

    given = uri.parameters
    if ("topics" in given) == ("pattern" in given):
        raise UriError(f"{uri} must have topics=a,b or pattern=^REGEX, one of them")
    if not given.get("group"):
        raise UriError(f"{uri} must have group=NAME: its offsets are kept under that name")
    start = given.get("start", _STARTS[0])
    if start not in _STARTS:
        raise UriError(f"{uri}: start must be {' or '.join(_STARTS)}, not {start!r}")
    topics = tuple(name for name in given.get("topics", "").split(",") if name)
    pattern = given.get("pattern")
    if pattern is not None:
        try:
            re.compile(pattern)
        except re.error as error:
            raise UriError(f"{uri}: pattern is no regular expression: {error}") from error
    elif not topics:
        raise UriError(f"{uri}: topics is empty")
    return KafkaSource(_cluster(uri), topics, given["group"], str(uri), start, pattern)


def sink_uri(text: str) -> Uri:
    """Parse the URI of a sink, and check it without opening anything. Raises UriError."""
    uri = parse_uri(text, SINKS, "sink")
    if uri.scheme == "kafka":
        if not uri.parameters.get("topic"):
            example = "eventlogging_{schema}_{revision}"
            raise UriError(f"{uri} must have topic=TEMPLATE, as topic={example}")
        _kafka_sink(uri)
    elif uri.scheme == "mysql":
        mysql_of(uri)
        drops_bots(uri)
    elif uri.scheme == "stdout":
        _no_path(uri)
    elif "://" in _path(uri) and uri.scheme == "sqlite":
        raise UriError(f"{uri}: a database is a local file")
    return uri


def sink_of(uri: Uri, registry: Registry, job_id: str) -> Sink:
    """Make the sink of a checked URI."""
    from transforms.write.encodings import JsonLinesEncoding, ParquetEncoding, RawEncoding
    from transforms.write.files import FileSink
    from transforms.write.stdout import StdoutSink
    from transforms.write.tables import SqliteSink

    encodings: dict[str, Callable[[], Any]] = {
        "parquet": lambda: ParquetEncoding(registry),
        "jsonl": JsonLinesEncoding,
        "raw": RawEncoding,
    }
    if uri.scheme == "kafka":
        return _kafka_sink(uri)
    if uri.scheme == "stdout":
        return StdoutSink()
    if uri.scheme == "mysql":
        from transforms.write.mysql import MysqlSink

        return MysqlSink(mysql_of(uri), registry, str(uri), drops_bots=drops_bots(uri))
    if uri.scheme == "sqlite":
        return SqliteSink(_path(uri), registry, str(uri))
    return FileSink(uri.scheme, _path(uri), encodings[uri.scheme](), job_id, str(uri).rstrip("/"))


def mysql_of(uri: Uri) -> MysqlServer:
    """The database of a URI. Raises UriError."""
    match = _MYSQL.fullmatch(uri.written)
    if not match:
        raise UriError(f"{uri}: write mysql://USER@HOST:PORT/DATABASE")
    address, _, database = filled(match["where"]).partition("/")
    given = dict(uri.parameters)
    try:
        if match["password"] is not None:
            if "password" in given:
                raise MysqlSettingsError("the password is given twice")
            given["password"] = match["password"]
        return MysqlServer.of(unquote(filled(match["user"])), address, unquote(database), given)
    except MysqlSettingsError as error:
        raise UriError(f"{uri}: {error}") from error


def drops_bots(uri: Uri) -> bool:
    """Whether a database has no events of bots. Raises UriError."""
    bots = uri.parameters.get("bots", _BOTS[0])
    if bots not in _BOTS:
        raise UriError(f"{uri}: bots must be {' or '.join(_BOTS)}, not {bots!r}")
    return bots == "drop"


def _kafka_sink(uri: Uri) -> Sink:
    from transforms.write.kafka import KafkaSink
    from transforms.write.topics import TopicError

    given = uri.parameters
    counts = {name: _count(uri, name) for name in ("partitions", "replication") if name in given}
    try:
        return KafkaSink(_cluster(uri), given["topic"], str(uri), key=given.get("key"), **counts)
    except TopicError as error:
        raise UriError(f"{uri}: {error}") from error


def metrics_uri(text: str) -> Uri:
    """Parse the URI of a counts topic, and check it. Raises UriError."""
    uri = parse_uri(text, METRICS, "metrics")
    _cluster(uri), _plain_topic(uri)
    return uri


def metrics_of(uri: Uri) -> KafkaMetrics:
    """Make the counts topic of a checked URI."""
    from transforms.counts.metrics import KafkaMetrics

    return KafkaMetrics(_cluster(uri), _plain_topic(uri), str(uri))


def raw_topic_of(text: str) -> tuple[KafkaCluster, str, int | None]:
    """Cluster, topic and partitions of a URI for lines as they are. Raises UriError."""
    uri = parse_uri(text, RAW_TOPICS, "topic")
    partitions = _count(uri, "partitions") if "partitions" in uri.parameters else None
    return _cluster(uri), _plain_topic(uri), partitions


def brokers_of(text: str) -> KafkaCluster:
    """The cluster of a URI kafka://BROKERS/, whatever else is in it. Raises UriError."""
    return _cluster(parse_uri(text, SOURCES, "source"))


def _plain_topic(uri: Uri) -> str:
    from transforms.write.topics import TopicError, TopicTemplate

    topic = uri.parameters.get("topic", "")
    try:
        TopicTemplate(topic)
    except TopicError as error:
        raise UriError(f"{uri}: {error}") from error
    if "{" in topic:
        raise UriError(f"{uri}: one topic is meant here, with a plain name")
    return topic


def _cluster(uri: Uri) -> KafkaCluster:
    try:
        return KafkaCluster.of(uri.rest, uri.parameters)
    except KafkaSettingsError as error:
        raise UriError(f"{uri}: {error}") from error


def _count(uri: Uri, name: str) -> int:
    text = uri.parameters[name]
    if not text.isdecimal() or not 0 < int(text) <= 10_000:
        raise UriError(f"{uri}: {name} must be a number from 1, not {text!r}")
    return int(text)


def _path(uri: Uri) -> str:
    path = uri.rest.removeprefix("//") if uri.rest.startswith("///") else uri.rest
    if not path:
        raise UriError(f"{uri} has no path: write {uri.scheme}:PATH")
    try:
        return checked_path(path)
    except UriError as error:
        raise UriError(f"{uri}: {error}") from error


def _has_gcp() -> bool:
    try:
        return importlib.util.find_spec("google.cloud.storage") is not None
    except ModuleNotFoundError:  # not even google.cloud
        return False


def checked_path(path: str) -> str:
    """A path on a file system that there is. Raises UriError."""
    scheme, there, rest = path.partition("://")
    if not there:
        return path
    if scheme == "mysql":
        raise UriError("these are tables, not files: see `el mysql`")
    if scheme not in FILE_SYSTEMS:
        known = ", ".join(f"{each}://" for each in FILE_SYSTEMS)
        raise UriError(f"no file system {scheme}://; there are local paths, {known}")
    if not _AUTHORITY[scheme].fullmatch(rest):
        raise UriError(f"{path} is no path there: write {_EXAMPLES[scheme]}")
    if scheme == "gs" and not _has_gcp():
        raise UriError("gs:// needs the extra gcp: pip install 'el_beam[gcp]'")
    return path.rstrip("/")
