"""Markup that is safe by construction: what is not Html is text, and text is escaped.

Everything in a report may come from an event, so from anyone. Hence there is no way to write an
attribute or a child unescaped but to be Html, and only `tag` and `join` make that.
"""

import re
from collections.abc import Iterable
from html import escape

_VOID = {"meta", "link"}
# Controls, lone surrogates (they could not be encoded) and the marks that reorder the text around
# them (a name could hide what follows it).
_UNSHOWABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)


class Html(str):
    """Markup that is written as it is."""

    __slots__ = ()


def text(value: object) -> Html:
    """Any value as escaped text; what can't be shown becomes U+FFFD."""
    if isinstance(value, Html):
        return value
    return Html(escape(_UNSHOWABLE.sub("\ufffd", str(value)), quote=True))


def join(children: Iterable[object], between: str = "") -> Html:
    """The children one after the other; None is left out."""
    return Html(between.join(text(child) for child in children if child is not None))


def tag(name: str, /, *children: object, **attributes: object) -> Html:
    """An element. `class_="a"` gives class, `stroke_width=1` stroke-width; None leaves one out."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{join(children)}</{name}>")


def raw_style(css: str) -> Html:
    """A style element of our own style sheet (never of data)."""
    return Html(f"<style>\n{css}</style>")
