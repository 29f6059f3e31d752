"""Extras: libraries that only a part of the project needs, and that people install for it."""

from importlib.util import find_spec

from schemas.errors import WrongCall


class ExtraMissing(WrongCall):
    """A library that isn't installed; the message says which extra brings it."""


def need_extra(extra: str, module: str, purpose: str) -> None:
    """Return if this module is installed. Raises ExtraMissing, which says how to install the extra.

    `purpose` is what needs it, the subject of the sentence. To be called where the module is
    imported, before that."""
    try:
        found = find_spec(module) is not None
    except ModuleNotFoundError:  # not even the package that it is in
        found = False
    if not found:
        raise ExtraMissing(f"{purpose} needs the extra {extra}: pip install 'el_beam[{extra}]'")
