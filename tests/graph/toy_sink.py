"""A connector in one file, as somebody else's package may have it: toy:FOLDER.

A split's events become one file of JSON lines. Its name and its content depend on the split alone,
so a bundle that is run again finds its file there.
"""

import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from el_beam.connectors.contract import Connector, Role, Use
from el_beam.uris import Uri, UriError
from schemas import strict_json
from schemas.event import Destination, Event
from schemas.registry import Registry
from transforms.errors import SinkError
from transforms.write.sink import Bundle, Receipt, Sink, Writer


class ToyConnector(Connector):
    uses = (
        Use("sink", "toy", "FOLDER", "a file of JSON lines for each split",
            {"suffix": "what the files' names end with, .toy by default"}),
    )  # fmt: skip

    def check(self, role: Role, uri: Uri) -> None:
        if not uri.rest:
            raise UriError(f"{uri} has no folder: write toy:FOLDER")

    def sink(self, uri: Uri, registry: Registry, job_id: str) -> Sink:
        return ToySink(Path(uri.rest), uri.parameters.get("suffix", ".toy"), str(uri))


class ToySink(Sink):
    def __init__(self, folder: Path, suffix: str, shown: str) -> None:
        self.folder, self.suffix, self._shown = folder, suffix, shown

    def prepare(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SinkError(f"cannot write {self}: {error}") from error

    def writer(self) -> Writer:
        return _ToyWriter(self)

    def __str__(self) -> str:
        return self._shown


class _ToyWriter(Writer):
    def __init__(self, sink: ToySink) -> None:
        self._sink = sink

    def bundle(self) -> Bundle:
        return _ToyBundle(self._sink)


class _ToyBundle(Bundle):
    def __init__(self, sink: ToySink) -> None:
        self._sink = sink
        self._lines: dict[str, list[bytes]] = defaultdict(list)  # of each split
        self._counts: Counter[tuple[str, Destination]] = Counter()

    def add(self, destination: Destination, event: Event) -> None:
        split = event.line.origin.split
        self._lines[split].append(strict_json.dumps(event.data) + b"\n")
        self._counts[split, destination] += 1

    def commit(self) -> Iterator[Receipt]:
        for split, lines in self._lines.items():
            self._write(self._sink.folder / f"{split}{self._sink.suffix}", b"".join(lines))
        for (split, destination), count in self._counts.items():
            yield Receipt(str(self._sink), split, *destination, given=count, written=count)

    def _write(self, path: Path, content: bytes) -> None:
        if path.exists() and path.read_bytes() != content:
            raise SinkError(f"{path} is there with other content")
        new = path.with_name(f"_{uuid.uuid4().hex}")
        new.write_bytes(content)
        new.replace(path)


TOY = ToyConnector()
