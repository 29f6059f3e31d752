"""The options of `el run`, and those that all commands have which run the graph."""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any

from el_beam.config.options import count, duration, local_path, modes, one_of, option, pattern, text
from el_beam.connectors.registry import checked_uri, one_process, uses
from el_beam.job import Execution
from el_beam.uris import Uri, UriError, given_path, masked
from schemas.line_format import DEFAULT_FORMAT, Format
from transforms.io.files.filesystem import Modes

NOWHERE = Uri("", "", {}, "")
"""The source of a config whose source is wrong: only the other mistakes are looked for in it."""


def line_format(value: str) -> str:
    """Check a format of lines, as EventLogging writes it, or `json`. Raises FormatError."""
    if value != "json":
        Format(value)
    return value


def state_path(value: str) -> str:
    """Parse the path of an import's state: a file system must rename. Raises UriError."""
    path = given_path(value)
    if "://" in path and not path.startswith("hdfs://"):
        raise UriError(f"{path} must be a local path or hdfs://")
    return path


@dataclass(frozen=True, repr=False)
class GraphConfig:
    """The options of each command that runs the graph. Passwords in it are shown as `***`."""

    sinks: tuple[Uri, ...] = field(default=(), metadata=option(
        partial(checked_uri, "sink"), kind=list, flag="",
        missing=lambda: "no sink: say where the events go; there are "
        + " ".join(f"{scheme}:" for scheme in sorted(uses("sink"))),
    ))  # fmt: skip
    format: str | None = field(default=None, metadata=option(
        line_format, f"the lines' format (default: `{DEFAULT_FORMAT}`), or `json` for events "
        "([events](events.md))", metavar="FMT",
    ))  # fmt: skip
    schemas: str | None = field(default=None, metadata=option(
        local_path, "a folder with Name/revision.json, or the URL of a MediaWiki's api.php, "
        "instead of the catalog ([schemas](schemas.md))", metavar="WHERE",
    ))  # fmt: skip
    runner: str = field(default="direct", metadata=option(
        one_of("direct", "flink", "spark"), "`direct`: this machine (default); `flink` "
        "(`$FLINK`, `$WORKERS`), `spark` (`$SPARK`, `$WORKERS`): a cluster", metavar="NAME",
    ))  # fmt: skip
    workers: int = field(default=1, metadata=option(
        count, "processes on this machine, or slots of the cluster; 1 by default; `stdin:` and "
        "`stdout:` allow only 1", metavar="N", kind=int, identity=False,
    ))  # fmt: skip
    beam: tuple[str, ...] = field(default=(), metadata=option(
        text, "all that follows goes to Beam, and to the runner",
        metavar="OPTIONS", kind=list, flag="--",
    ))  # fmt: skip

    @property
    def execution(self) -> Execution:
        """Who runs the graph."""
        return Execution(self.runner, self.workers, self.beam)

    @property
    def job_id(self) -> str:
        """The same for the same job: what a killed attempt left is found by it."""
        plain = {each.name: _plain(getattr(self, each.name)) for each in fields(self)}
        for each in fields(self):
            identity = each.metadata["option"].identity
            if identity is False:
                plain[each.name] = {int: 0, bool: False}.get(type(each.default))
            elif identity is None and getattr(self, each.name) == each.default:
                del plain[each.name]
        return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]

    def contradictions(self) -> Iterator[str]:
        """Yield a sentence for each option that doesn't fit the others."""
        from runners.beam_options import problem_of

        names = [str(uri).rstrip("/") for uri in self.all_sinks]
        yield from (f"{name} is given twice" for name in sorted({*names}) if names.count(name) > 1)
        if problem := problem_of(self.beam, self.runner):
            yield problem

    @property
    def all_sinks(self) -> tuple[Uri, ...]:
        """The sinks, those of bad lines alone too."""
        return self.sinks

    def __repr__(self) -> str:
        values = ((each.name, repr(getattr(self, each.name))) for each in fields(self))
        shown = ", ".join(f"{name}={masked(value)}" for name, value in values)
        return f"{type(self).__name__}({shown})"


@dataclass(frozen=True, repr=False)
class RunConfig(GraphConfig):
    """The options of `el run`."""

    source: Uri = field(default=NOWHERE, metadata=option(
        partial(checked_uri, "source"), flag="",
        missing=lambda: "no source: say what to read, as file:PATH",
    ))  # fmt: skip
    errors: Uri | None = field(default=None, metadata=option(
        partial(checked_uri, "sink"), "EventErrors go to this sink, instead of the other sinks",
        metavar="SINK",
    ))  # fmt: skip
    only: re.Pattern[str] | None = field(default=None, metadata=option(
        pattern, "only schemas whose name matches from its start: `Edit` is also `EditConflict`, "
        "`Edit$` is not", metavar="REGEX",
    ))  # fmt: skip
    except_: re.Pattern[str] | None = field(default=None, metadata=option(
        pattern, "not the schemas whose name matches from its start; also EventErrors where it "
        "matches `EventError`", metavar="REGEX",
    ))  # fmt: skip
    metrics: Uri | None = field(default=None, metadata=option(
        partial(checked_uri, "metrics"), "counts by minute, schema and reason go to this topic, "
        "`kafka://BROKERS/?topic=NAME` ([delivery](delivery.md#counts))", metavar="KAFKA_URI",
    ))  # fmt: skip
    savepoint: str | None = field(default=None, metadata=option(
        text, "of a continuous job: begin at the offsets of this savepoint or retained checkpoint",
        metavar="PATH", identity=False,
    ))  # fmt: skip
    detach: bool = field(default=False, metadata=option(
        text, "submit a continuous job, print its id and leave it running",
        kind=bool, identity=False,
    ))  # fmt: skip
    state: str | None = field(default=None, metadata=option(
        state_path, "read topics by [increments](increments.md), and keep the import's state here",
        metavar="DIR",
    ))  # fmt: skip
    every: float | None = field(default=None, metadata=option(
        duration, "start an increment at this interval (`s`, `m`, `h`), until Ctrl-C or SIGTERM",
        metavar="60s", identity=False,
    ))  # fmt: skip
    once: bool = field(default=False, metadata=option(
        text, "read the records that the topics have now, then end", kind=bool, identity=False,
    ))  # fmt: skip
    on_expired: str = field(default="fail", metadata=option(
        one_of("fail", "skip"), "if records expired before they were read: `fail` (default) lets "
        "their topic wait, `skip` continues without them", metavar="ACT",
    ))  # fmt: skip
    transaction_patience: float = field(default=3600.0, metadata=option(
        duration, "hours wait so long for a transaction that stays open, then close without it "
        "([complete hours](ledger.md#complete-hours)); `1h` by default", metavar="1h",
        identity=None,
    ))  # fmt: skip
    write_format: str = field(default="newest", metadata=option(
        one_of("newest", "previous"), "how a new state and new folders are written: `newest` "
        "(default), or so that the `previous` release reads them ([upgrade](upgrade.md))",
        metavar="FMT", identity=None,
    ))  # fmt: skip

    mode: Modes | None = field(default=None, metadata=option(
        modes, "the permissions of new files, in octal; `private`: of archives, EventErrors and "
        "states ([who may read](access.md))", metavar="events=0644,private=0640",
        identity=None,
    ))  # fmt: skip

    @property
    def all_sinks(self) -> tuple[Uri, ...]:
        return (*self.sinks, *([self.errors] if self.errors else []))

    def contradictions(self) -> Iterator[str]:
        yield from super().contradictions()
        if self.state:
            yield from self._of_increments()
        else:
            yield from (f"--{name} is for increments: say with --state where they are noted"
                        for name in ("every", "once") if getattr(self, name))  # fmt: skip
        if self.source.scheme not in ("kafka", "") or self.state:
            yield from (f"--{name} is for continuous jobs: from kafka:, without --state"
                        for name in ("savepoint", "detach") if getattr(self, name))  # fmt: skip
        for uri in (self.source, *self.all_sinks):
            if self.workers > 1 and one_process(uri):
                yield f"{uri} belongs to one process: use it with --workers 1"

    def _of_increments(self) -> Iterator[str]:
        if self.source.scheme not in ("kafka", ""):
            yield "--state is for increments: those read from kafka:"
        if self.source.parameters.get("isolation.level") == "read_uncommitted":
            yield "increments read what is committed alone: leave isolation.level out"
        if self.once == (self.every is not None):
            yield "increments need --every 60s, or --once"
        if self.metrics:
            yield "--metrics is for continuous jobs: the counts of increments are in their state"


def _plain(value: Any) -> Any:
    """A value as the text that it came from, without passwords."""
    match value:
        case tuple():
            return [*map(_plain, value)]
        case Uri():
            return str(value)
        case re.Pattern():
            return value.pattern
    return value
