"""What a connector is: one file that knows one system, from its URIs to what is read and written.

A connector declares the schemes that people write, with their parameters and a sentence each, and
makes of a URI what a job reads (a source), what it writes to (a sink), and what is read back (a
store). Help texts, errors and the tests of the docs take the schemes from there. `registry.py`
knows which connectors there are.

A connector knows nothing of those who use it. It imports client libraries where it uses them: the
command's `--help` must not wait for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from el_beam.connectors.store import NothingStored, Store
from el_beam.uris import Uri

if TYPE_CHECKING:
    from schemas.event import Destination
    from schemas.registry import Registry
    from transforms.counts.totals import KafkaMetrics
    from transforms.read.lines import Source
    from transforms.write.sink import Sink

Role = Literal["source", "sink", "store", "metrics"]


@dataclass(frozen=True)
class Use:
    """One scheme in one role, as people write it and as help texts explain it."""

    role: Role
    scheme: str
    rest: str  # what follows the colon: PATH
    help: str
    parameters: Mapping[str, str] = field(default_factory=dict)  # name -> what it is, a sentence
    settings: Mapping[str, str] = field(default_factory=dict)  # the same, of the connection
    one_process: bool = False  # whether it belongs to the process that runs the job

    @property
    def example(self) -> str:
        return f"{self.scheme}:{self.rest}"

    @property
    def names(self) -> frozenset[str]:
        """The names of all parameters and settings."""
        return frozenset(self.parameters) | frozenset(self.settings)


class Connector:
    """What is made of the URIs of one system.

    A method is called only with URIs whose scheme is declared for its role, and which have no
    other parameters than the declared ones; a connector overrides those of its roles."""

    uses: tuple[Use, ...] = ()

    def check(self, role: Role, uri: Uri) -> None:
        """Check all of a URI that can be checked without opening anything. Raises UriError."""

    def source(self, uri: Uri) -> Source:
        """What a job reads, of a checked URI. Raises UnreadableInput where nothing is there."""
        raise NotImplementedError

    def sink(self, uri: Uri, registry: Registry, job_id: str) -> Sink:
        """What a job writes to, of a checked URI; nothing is opened yet.

        `job_id` is the same for the same job, so that it finds what a killed attempt has left."""
        raise NotImplementedError

    def store(self, uri: Uri) -> Store:
        """What is read back, of a checked URI. Raises OSError, and NothingStored where nothing
        is."""
        raise NotImplementedError

    def written(self, uri: Uri, destinations: Iterable[Destination]) -> Store | None:
        """The store that has what a sink has written of these destinations, by the sink's URI;
        None where it has written nothing yet. Raises StoredError, OSError."""
        try:
            return self.store(uri)
        except NothingStored:
            return None

    def place(self, uri: Uri) -> tuple[str, ...] | None:
        """What the URIs of a sink and of a store have in common if both name one place; None where
        nothing can be removed from it."""
        return None

    def metrics(self, uri: Uri) -> KafkaMetrics:
        """Where a continuous job counts, of a checked URI."""
        raise NotImplementedError
