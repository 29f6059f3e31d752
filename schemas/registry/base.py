"""What a registry of schemas is, and what can go wrong with one; schemas.registry has them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from schemas.errors import ElBeamError, WrongCall
from schemas.event import Destination

Json = dict[str, Any]
Destinations = list[Destination]  # Registry has a method named `list`
Problems = list[str]


class SchemaError(ElBeamError):
    """The event's schema can't be had: the event is bad."""


class UnknownSchema(SchemaError):
    """There is no such schema, or no such revision of it."""


class InvalidSchema(SchemaError):
    """There is one, but it is no draft-3 schema. The message names it and says what is wrong."""


class RegistryUnavailable(ElBeamError):
    """The registry doesn't answer just now; whoever asked tries again."""

    transient = True


class RegistryError(WrongCall):
    """The registry was set up wrongly: a message of one line for whoever did."""


class Registry(ABC):
    """Schemas by name and revision. Cheap to pickle: what it has read stays in the process."""

    @abstractmethod
    def get(self, schema: str, revision: int) -> Json:
        """The schema document as stored; not to be changed, it is shared.

        Raises UnknownSchema, InvalidSchema, RegistryUnavailable or RegistryError."""

    @abstractmethod
    def digest(self) -> str:
        """64 hex digits that pin what every `get` answers. Raises RegistryError."""

    def problems(self) -> Problems:
        """A line for each schema that nobody can use, and why. Raises RegistryError."""
        return []

    @abstractmethod
    def list(self) -> Destinations:
        """The schemas that are known to be there, sorted. Raises RegistryError."""
