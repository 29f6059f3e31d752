"""Provenance: what the lines of EventErrors were read from, as the ledgers know it."""

from el_beam.books.ledger.entries import read_ledger
from el_beam.books.ledger.model import FilePart, Ledger, LedgerError, LedgerFile
from schemas.event import Origin
from transforms.layout import is_of_file, is_of_topic, start_of
from transforms.write.sink import Sink


class Provenance:
    """What the ledgers of a sink, and of the store that has the EventErrors, know about lines."""

    def __init__(self, root: str, sink: Sink, hours: set[str], *, same: bool) -> None:
        """`root` is the store's folder, empty for one without; `same`: the sink's too. Raises
        OSError."""
        self.ledger = _ledger_of(sink.root, hours)
        self.root, self.files = root, {}
        if root:
            self.files = (self.ledger if same else _ledger_of(root, hours)).files
        self._of_hour: dict[str, set[FilePart]] = {}
        for part in (each for entry in self.ledger.entries for file in entry.files
                     for each in file.of):  # fmt: skip
            self._of_hour.setdefault(part.hour, set()).add(part)
        self._cached: dict[tuple[str, str, str], list[FilePart]] = {}

    def file(self, place: str) -> LedgerFile | None:
        """What is known of a file of the store."""
        return self.files.get(self.below(place))

    def below(self, place: str) -> str:
        return place.removeprefix(f"{self.root}/")

    def parts(self, place: str, hour: str, origin: Origin) -> frozenset[FilePart]:
        """What the line of an EventError was read from, or several things one of which it was.
        `place` is where the EventError is, and `hour` its hour."""
        key = place, hour, f"{origin.kind} {origin.name}"
        if key not in self._cached:
            file = self.file(place)
            among = file.of if file else self._of_hour.get(hour, ())
            self._cached[key] = sorted(part for part in among if is_of(part.split, origin))
        found = self._cached[key]
        if origin.kind == "file":  # the last split that starts before it
            starts = [start_of(part.split) for part in found]
            last = max((start for start in starts if start <= origin.offset), default=None)
            found = [part for part in found if start_of(part.split) == last]
        return frozenset(found)


def _ledger_of(root: str, hours: set[str]) -> Ledger:
    try:
        return read_ledger(root, selected=hours.__contains__)
    except LedgerError:  # nothing was ever written there
        return Ledger(root)


def is_of(split: str, origin: Origin) -> bool:
    """Whether a split is of the topic or file that a line was read from."""
    if origin.kind == "kafka":
        return is_of_topic(split, origin.name.rpartition("/")[0])
    if origin.kind == "file":
        return is_of_file(split, origin.name)
    return split == origin.name
