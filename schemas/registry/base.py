"""The contract of a registry of schemas, and its errors; schemas.registry has the registries."""

from abc import ABC, abstractmethod
from typing import Any

from schemas.errors import ElBeamError, WrongCall
from schemas.event import Destination

Json = dict[str, Any]
Destinations = list[Destination]  # Registry has a method named `list`
Problems = list[str]


class SchemaError(ElBeamError):
    """The registry can't give the event's schema: the event is bad."""


class UnknownSchema(SchemaError):
    """The registry has no such schema, or no such revision of it."""


class InvalidSchema(SchemaError):
    """The document is not a draft-3 schema. The message names it and says what is wrong."""


class RegistryUnavailable(ElBeamError):
    """The registry doesn't answer just now; the caller tries again."""

    transient = True


class RegistryError(WrongCall):
    """The registry was named wrongly: a message of one line for the person who did."""


class Registry(ABC):
    """Gives schemas by name and revision. Cheap to pickle: the schemas stay in the process."""

    @property
    def lists(self) -> bool:
        """Whether `list` has all schemas, always the same; else those that were asked for."""
        return True

    @abstractmethod
    def get(self, schema: str, revision: int) -> Json:
        """Returns the schema document as stored; it is shared: do not change it.

        Raises UnknownSchema, InvalidSchema, RegistryUnavailable or RegistryError."""

    @abstractmethod
    def digest(self) -> str:
        """Returns 64 hex digits that pin the answers of every `get`. Raises RegistryError."""

    def problems(self) -> Problems:
        """Returns a line for each schema that can't be used, with the reason. Raises
        RegistryError."""
        return []

    def limits(self) -> Problems:
        """Returns a line for each part of a schema that makes events bad whatever they say, or just
        for being long. Raises RegistryError."""
        return []

    @abstractmethod
    def list(self) -> Destinations:
        """Returns the known schemas, sorted. Raises RegistryError."""
