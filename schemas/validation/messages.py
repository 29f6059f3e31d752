"""What messages show of values that strangers sent: in bounds, and printable."""

from collections.abc import Iterable
from typing import Final

LONGEST_MESSAGE: Final = 500  # characters
LONGEST_PATH: Final = 300  # characters


def printable(text: str, longest: int) -> str:
    """Cuts a text, and escapes characters that can't be printed (controls, lone surrogates)."""
    if len(text) > longest:
        text = text[: longest - 1] + "…"
    if text.isprintable():
        return text
    escaped = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
    return escaped if len(escaped) <= longest else escaped[: longest - 1] + "…"


def readable_path(path: Iterable[str | int]) -> str:
    """Joins the parts of a path: `event.l[2].c`."""
    parts = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return printable(parts.removeprefix("."), LONGEST_PATH)


def text_of(value: object) -> str:
    """Returns `repr` of a value, or at least as much of it as a message may have: a list of
    a megabyte in lists would otherwise be written once for each level."""
    if isinstance(value, str):
        quotes = "".join(quote for quote in "'\"" if quote in value)  # repr chooses by all of them
        return repr(value if len(value) <= LONGEST_MESSAGE else value[:LONGEST_MESSAGE] + quotes)
    if not isinstance(value, (dict, list)):
        return repr(value)
    parts, room = [], LONGEST_MESSAGE
    for each in value:
        parts.append(
            f"{each!r}: {text_of(value[each])}" if isinstance(value, dict) else text_of(each)
        )
        room -= len(parts[-1])
        if room < 0:
            break
    text = ", ".join(parts)
    return f"{{{text}}}" if isinstance(value, dict) else f"[{text}]"
