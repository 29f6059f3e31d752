"""Durable formats: what one version of el_beam writes, and another one reads later.

A document is a JSON object with a number, its `format`. Values are held by name, and empty ones are
left out, so a field that is added needs no new number: readers ignore what they don't know. What an
older version would misread does: it refuses a newer number, and a newer version migrates older
documents one number at a time. A document without a number is of format 1.

For one release documents can also be written as the release before reads them, so that people can
go back to it: see docs/upgrade.md.

Each kind of document is one `DocumentFormat`, beside the class that it holds; tests/golden/durable
has a document of each number of each kind.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, Generic, TypeVar, Union, get_args, get_origin, get_type_hints

from schemas.errors import WrongCall

T = TypeVar("T")
Document = dict[str, Any]
Migration = Callable[[Document], Document]


class DocumentError(WrongCall):
    """A document that this version of el_beam can't read; the message says why."""


@dataclass(frozen=True)
class DocumentFormat(Generic[T]):
    """How values of a class are written, and read again."""

    kind: str  # for people, and the name of its golden files' folder
    holds: type[T]
    version: int = 1
    migrations: Mapping[int, Migration] = field(default_factory=dict)  # 1: what makes 2 of it, …
    previous: Callable[[T], Document] | None = None
    """How the release before has it; None where that reads what we write."""

    def dump(self, value: T, *, previous: bool = False) -> bytes:
        """With `previous` as the release before reads it."""
        if previous and self.previous:
            document = self.previous(value)
        else:
            document = {"format": self.version, **by_name(value)}
        return json.dumps(document, separators=(",", ":")).encode()

    def load(self, content: bytes, where: str) -> T:
        """Decode what `dump` of this or an older version has made. `where` names it for people.

        Raises DocumentError."""
        try:
            document = json.loads(content)
            version = document.pop("format", 1)
            if version > self.version:
                raise DocumentError(
                    f"{where} is written in format {version} ({self.kind}), and this version of "
                    f"el_beam reads formats up to {self.version}: use a newer el_beam"
                )
            for number in range(version, self.version):
                document = self.migrations[number](document)
            value: T = reader(self.holds)(document)  # type: ignore[arg-type]  # a class has a hash
            return value
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise DocumentError(
                f"{where} is damaged, or not of el_beam ({self.kind}): {error!r}; put back a copy "
                "of it, or see docs/ledger.md (Damaged books)"
            ) from error


def by_name(value: Any) -> Any:
    """Plain values of a value: an object of each dataclass and named tuple, without what is empty
    by default. A class may have a `to_document` of its own."""
    if hasattr(value, "to_document"):
        return value.to_document()
    if is_dataclass(value) or hasattr(value, "_fields"):
        defaults = _defaults(type(value))  # type: ignore[arg-type]  # a class has a hash
        found = ((name, getattr(value, name)) for name in defaults)
        return {name: by_name(its) for name, its in found if its or its != defaults[name]}
    if isinstance(value, Mapping):
        return {str(key): by_name(its) for key, its in value.items()}
    if isinstance(value, (tuple, list)):
        return [by_name(each) for each in value]
    if isinstance(value, frozenset):
        return sorted(map(by_name, value))
    return value


@cache
def _defaults(cls: Any) -> dict[str, Any]:
    """Names of fields -> what they are by default; `MISSING` where they must be given."""
    if not is_dataclass(cls):
        return {name: cls._field_defaults.get(name, MISSING) for name in cls._fields}
    return {
        each.name: each.default if each.default_factory is MISSING else each.default_factory()
        for each in fields(cls)
    }


@cache
def reader(hint: Any) -> Callable[[Any], Any]:
    """What makes a value of a type of its plain values: the other side of `by_name`. A class may
    have a `from_document` of its own."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hasattr(hint, "from_document"):
        return hint.from_document  # type: ignore[no-any-return]  # a class of any kind
    if is_dataclass(hint) or hasattr(hint, "_fields"):
        return _object_reader(hint)
    if origin in (Union, UnionType):  # of a type and None
        one = reader(next(each for each in arguments if each is not type(None)))
        return lambda plain: None if plain is None else one(plain)
    if origin is dict:
        key, its = arguments[0], reader(arguments[1])
        return lambda plain: {key(name): its(value) for name, value in plain.items()}
    if origin in (tuple, list, frozenset):
        each = reader(arguments[0])
        return lambda plain: origin(map(each, plain))
    return lambda plain: plain


def _object_reader(cls: Any) -> Callable[[Document], Any]:
    hints = get_type_hints(cls)
    readers = {name: reader(hints[name]) for name in _defaults(cls)}

    def read(plain: Document) -> Any:
        return cls(**{name: readers[name](its) for name, its in plain.items() if name in readers})

    return read
