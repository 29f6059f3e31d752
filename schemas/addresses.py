"""Removes IP addresses from lines: neither identities nor tables keep them."""

import binascii
import ipaddress
import json
import re
from typing import Final

NO_ADDRESS = "0.0.0.0"
"""Replaces each IP address that is removed."""
_BORDER = r"""\s"',;=()\[\]{}<>|\\"""
_ENCODED = "%(?:09|0[AD]|2[02789C]|3[BCDE]|5[BCD]|7[BCD])"  # the same, url-encoded
_ADDRESS = re.compile(
    rf"(?:(?<![^{_BORDER}])|(?<=\\[NRT])|(?<={_ENCODED}))"
    rf"(?:[0-9A-F.:]|%3A){{2,45}}(?![^{_BORDER}%])",
    re.IGNORECASE,
)  # a field of a line, or a text in JSON; not a version in a user agent: `Chrome/70.0.1.2`
_LETTERS: Final = "0123456789ABCDEFabcdef.:%"  # no other is in an address or an encoded border
_HEX, _NEXT = "[0-9A-Fa-f]{1,4}", "(?::|%3[Aa])"
_SIGNS: Final = [
    re.compile(rf"{colon}(?:{_NEXT}|{_HEX}{_NEXT}{_HEX}{_NEXT})") for colon in (":", "3(?<=%3)[Aa]")
] + [re.compile(r"\.[0-9]{1,3}\.[0-9]")]
"""Each address has one of them. They begin with a fixed letter, so they are found in a fraction of
the time that an address itself takes."""
_FEW: Final = 30  # signs that are looked at one by one; where there are more, the whole text is
_LONG: Final = 1000  # letters around a sign
_COLON = re.compile("%3A", re.IGNORECASE)
_IPV4 = re.compile(r"(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}", re.ASCII)
_WRONG_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")
_EVENT = re.compile(r'[{,]\s*"event"\s*:\s*(?=\{)')
_JSON = json.JSONDecoder()


def without_addresses(line: bytes) -> bytes:
    """Replaces each IP address of a line by NO_ADDRESS, except in the capsule's `event`, which is
    the client's own data: `{"version":"7.2.0.1"}` stays."""
    text = line.decode("latin-1")
    mark, capsule, rest = "", text, ""
    if text.startswith("?"):
        mark, capsule = "?", text.split(maxsplit=1)[0][1:]
        rest = text[1 + len(capsule) :]
    if _has_sign(capsule):
        start, end = _event_in_query(capsule) if mark else _event_in(capsule)
        capsule = cleared(capsule[:start]) + capsule[start:end] + cleared(capsule[end:])
    return (mark + capsule + cleared(rest)).encode("latin-1")


def _has_sign(text: str) -> bool:
    colon, encoded, dot = _SIGNS
    return bool(colon.search(text) or dot.search(text) or encoded.search(text))


def cleared(text: str) -> str:
    """Replaces each IP address of a text by NO_ADDRESS."""
    parts, done = list[str](), 0
    for start, end in _words(text):
        for match in _ADDRESS.finditer(text, start, end):
            if (instead := _instead_of(match[0])) is not None:
                parts += text[done : match.start()], instead
                done = match.end()
    return "".join(parts) + text[done:] if parts else text


def _words(text: str) -> list[tuple[int, int]]:
    """Returns parts of a text that hold all its addresses, each with a letter that follows it."""
    words = []
    for sign in _SIGNS:
        end = 0
        for found in sign.finditer(text):
            place = found.start()
            if place >= end:
                before, after = text[max(place - _LONG, 0) : place], text[place : place + _LONG]
                start = place - len(before) + len(before.rstrip(_LETTERS))
                end = place + len(after) - len(after.lstrip(_LETTERS))
                words.append((start, end + 1))
                if len(words) > _FEW or start == place - _LONG or end == place + _LONG:
                    return [(0, len(text))]
    return sorted({*words})


def _event_in(text: str) -> tuple[int, int]:
    """Returns where the `event` of a capsule in JSON begins and ends."""
    found = _EVENT.search(text) if text.startswith("{") else None
    if found:
        try:
            return found.end(), _JSON.raw_decode(text, found.end())[1]
        except (ValueError, RecursionError):  # cut short, or not a capsule
            pass
    return 0, 0


def _event_in_query(query: str) -> tuple[int, int]:
    """Returns the same for a url-encoded capsule."""
    marked = _WRONG_ESCAPE.sub("!", query)  # so that each % makes one letter of three
    escaped = marked.replace("=", "=3D").replace("%", "=")
    decoded = binascii.a2b_qp(escaped.encode("latin-1")).decode("latin-1")
    start, end = _event_in(decoded.replace("+", " "))
    return _encoded(marked, start), _encoded(marked, end)


def _encoded(query: str, place: int) -> int:
    """Returns where the letter is encoded that is at this place of the decoded query."""
    seen = 0
    while more := query.count("%", seen, place):
        seen, place = place, place + 2 * more
    return place


def _instead_of(written: str) -> str | None:
    """Returns what is written instead of an address, or None if it isn't one."""
    text = _COLON.sub(":", written) if "%" in written else written
    if text.count(":") < 2 and text.count(".") < 3:
        return None
    if _IPV4.fullmatch(text) and text != NO_ADDRESS:
        return NO_ADDRESS
    host, colon, port = text.rpartition(":")
    bare = text.rstrip(".")
    for address, rest in ((text, ""), (bare, text[len(bare) :]), (host, colon + port)):
        try:
            if int(ipaddress.ip_address(address)):  # `::` is the address of nobody
                return NO_ADDRESS + rest
        except ValueError:
            continue
    return None
