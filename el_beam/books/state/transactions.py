"""Open transactions: what is behind them nobody can read, and hours wait for it, but not for ever.

    STATE/transactions/raw.0.10.json            the import has seen one that begins at raw/0@10
                       raw.0.10.released.json   people wait for it no longer

A note is made when the transaction is first seen, and removed once it has ended and nobody takes
hours for incomplete because of it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from el_beam.books.state.state import StateError
from schemas.durable import DocumentFormat
from transforms.io.files import filesystem
from transforms.layout import safe_name
from transforms.read.offsets import UnreadPlace


@dataclass(frozen=True)
class OpenTransaction:
    """A transaction that an import has seen."""

    place: UnreadPlace
    since: float  # unix seconds


OPEN_TRANSACTION = DocumentFormat("transaction", OpenTransaction)
_OPEN, _RELEASED = ".json", ".released.json"


class Transactions:
    """The open transactions that a state knows. Methods raise OSError, DocumentError."""

    def __init__(self, state: str) -> None:
        self._path, self._none = f"{state}/transactions", False  # as far as this knows

    def seen(
        self, places: Iterable[UnreadPlace], now: float
    ) -> tuple[dict[UnreadPlace, float], list[UnreadPlace]]:
        """Note those that are open. Returns since when each is known (unix seconds), 0 where people
        have released it; and those that have ended and aren't forgotten."""
        places = [*places]
        if self._none and not places:
            return {}, []
        left, found = {*filesystem.names(self._path)}, dict[UnreadPlace, float]()
        for each in places:
            name = _name(each)
            if name + _OPEN not in left:
                filesystem.make_folder(self._path)
                note = OPEN_TRANSACTION.dump(OpenTransaction(each, now))
                filesystem.create(f"{self._path}/{name}{_OPEN}", note)
            since = self._read(name + _OPEN).since
            found[each] = 0.0 if name + _RELEASED in left else since
            left -= {name + _OPEN, name + _RELEASED}
        self._none = not places and not left
        ended = [name for name in left if not name.endswith(_RELEASED)]
        return found, [self._read(name).place for name in sorted(ended)]

    def forget(self, ended: Iterable[UnreadPlace]) -> None:
        """Remove the notes of transactions."""
        for each in ended:
            for end in (_RELEASED, _OPEN):
                if filesystem.exists(path := f"{self._path}/{_name(each)}{end}"):
                    filesystem.remove(path)

    def release(self, topic: str, partition: int) -> None:
        """Let no hour wait for what is open in a partition. Raises StateError where nothing is."""
        names = [name for name in filesystem.names(self._path)
                 if name.endswith(_OPEN) and not name.endswith(_RELEASED)]  # fmt: skip
        known = {name: self._read(name).place for name in names}
        mine = [name for name, its in known.items() if its[:2] == (topic, partition)]
        if not mine:
            there_are = ", ".join(sorted(map(str, known.values()))) or "none"
            raise StateError(
                f"the import knows no open transaction in {topic}/{partition}; there are "
                f"{there_are}"
            )
        for name in mine:
            path = f"{self._path}/{name.removesuffix(_OPEN)}{_RELEASED}"
            filesystem.create(path, filesystem.read(f"{self._path}/{name}"))

    def _read(self, name: str) -> OpenTransaction:
        path = f"{self._path}/{name}"
        return OPEN_TRANSACTION.load(filesystem.read(path), path)


def _name(place: UnreadPlace) -> str:
    return f"{safe_name(place.topic)}.{place.partition}.{place.offset}"
