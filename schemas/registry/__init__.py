"""Where schemas come from: a folder of them, or the API of a wiki."""

from schemas.registry.base import (
    InvalidSchema,
    Registry,
    RegistryError,
    RegistryUnavailable,
    SchemaError,
    UnknownSchema,
)
from schemas.registry.folder import DirectoryRegistry
from schemas.registry.mediawiki import HttpRegistry
from schemas.registry.opening import CATALOG, WithEventError, open_registry

__all__ = [
    "CATALOG",
    "DirectoryRegistry",
    "HttpRegistry",
    "InvalidSchema",
    "Registry",
    "RegistryError",
    "RegistryUnavailable",
    "SchemaError",
    "UnknownSchema",
    "WithEventError",
    "open_registry",
]
