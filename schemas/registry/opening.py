"""Opens the registry that a person names; EventError's schema is in all of them."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Final

from schemas.bad_event import EVENT_ERROR
from schemas.registry.base import Destinations, Json, Problems, Registry
from schemas.registry.folder import DirectoryRegistry
from schemas.registry.mediawiki import HttpRegistry

CATALOG: Final = Path(__file__).parents[1] / "catalog"


class WithEventError(Registry):
    """A registry that always has el_beam's own EventError, even if it has another one.

    The graph makes EventErrors of exactly that shape, so no other schema may replace it."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._catalog = DirectoryRegistry(CATALOG)

    def get(self, schema: str, revision: int) -> Json:
        own = (schema, revision) == EVENT_ERROR
        return (self._catalog if own else self._registry).get(schema, revision)

    @property
    def lists(self) -> bool:
        return self._registry.lists

    def list(self) -> Destinations:
        return sorted({*self._registry.list(), EVENT_ERROR})

    def problems(self) -> Problems:
        return self._registry.problems()

    def limits(self) -> Problems:
        return self._registry.limits()

    def digest(self) -> str:
        own = json.dumps(self._catalog.get(*EVENT_ERROR), sort_keys=True)
        return sha256(f"{self._registry.digest()}\0{own}".encode()).hexdigest()

    def __repr__(self) -> str:
        return repr(self._registry)


def open_registry(where: str | None) -> Registry:
    """Opens the registry that a person names: a URL, a folder, or None for the packaged catalog.

    EventError is always in it. Raises RegistryError if there are no schemas; a URL is first asked
    when an event comes."""
    if where is not None and "://" in where:
        return WithEventError(HttpRegistry(where))
    registry = WithEventError(DirectoryRegistry(CATALOG if where is None else where))
    registry.digest()
    return registry
