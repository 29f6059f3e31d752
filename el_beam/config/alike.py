"""What is called otherwise than its own name says, as another one has the name: said beforehand."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from schemas.event import Destination
from schemas.registry import Registry, SchemaError
from schemas.storage.columns import Column, nested_columns, path_text, safe_name
from schemas.storage.table_names import Names, apart_table, known, table_name
from transforms.layout import apart_folder, schema_folder


def alike(registry: Registry) -> Iterator[str]:
    """A sentence for each schema, and for each property of one, whose name is that of another."""
    schemas = known(registry)
    for what, plain, apart in (
        ("table", lambda schema: table_name(*schema), apart_table),
        ("folder", schema_folder, apart_folder),
    ):
        for first, others in Names(schemas, plain, apart).alike():
            for other in others:
                yield (
                    f"schema {other.schema} revision {other.revision} has the {what} "
                    f"{apart(other)}, if it has none yet, as {plain(other)} is like that of "
                    f"{first.schema} revision {first.revision}"
                )
    for schema in schemas:
        with suppress(SchemaError):  # it has no events
            yield from _columns(schema, registry.get(*schema))


def _columns(schema: Destination, document: dict[str, Any]) -> Iterator[str]:
    from schemas.storage.sql import column_name, layout

    names = {
        path_text(each.path): f"{each.name} in tables"
        for each in layout(document)
        if each.name != column_name(each.path)
    }
    for path, name in _in_files(nested_columns(document), ()):
        more = f"{names[path]}, " if path in names else ""
        names[path] = f"{more}{name} in files"
    for path, name in names.items():
        yield f"schema {schema.schema} revision {schema.revision}: {path} is {name}"


def _in_files(columns: Iterable[Column], above: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for each in columns:
        path = (*above, each.key)
        if each.name != safe_name(each.key):
            yield path_text(path), each.name
        yield from _in_files(each.children, path)
