"""Removes IP addresses from lines: neither identities nor tables keep them."""

import ipaddress
import json
import re

NO_ADDRESS = "0.0.0.0"
"""Replaces each IP address that is removed."""
_BORDER = r"""\s"',;=()\[\]{}<>|\\"""
_ENCODED = "%(?:09|0[AD]|2[02789C]|3[BCDE]|5[BCD]|7[BCD])"  # the same, url-encoded
_ADDRESS = re.compile(
    rf"(?:(?<![^{_BORDER}])|(?<=\\[NRT])|(?<={_ENCODED}))"
    rf"(?:[0-9A-F.:]|%3A){{2,45}}(?![^{_BORDER}%])",
    re.IGNORECASE,
)  # a field of a line, or a text in JSON; not a version in a user agent: `Chrome/70.0.1.2`
_COLON = re.compile("%3A", re.IGNORECASE)
_LETTER = re.compile("%[0-9A-Fa-f]{2}|.")
_EVENT = re.compile(r'[{,]\s*"event"\s*:\s*(?=\{)')
_JSON = json.JSONDecoder()


def without_addresses(line: bytes) -> bytes:
    """Replaces each IP address of a line by NO_ADDRESS, except in the capsule's `event`, which is
    the client's own data: `{"version":"7.2.0.1"}` stays."""
    text = line.decode("latin-1")
    start, end = _event_in_query(text) if text.startswith("?") else _event_in(text)
    parts = (cleared(text[:start]), text[start:end], cleared(text[end:]))
    return "".join(parts).encode("latin-1")


def cleared(text: str) -> str:
    """Replaces each IP address of a text by NO_ADDRESS."""
    return _ADDRESS.sub(_no_address, text)


def _event_in(text: str) -> tuple[int, int]:
    """Returns where the `event` of a capsule in JSON begins and ends."""
    found = _EVENT.search(text) if text.startswith("{") else None
    if found:
        try:
            return found.end(), _JSON.raw_decode(text, found.end())[1]
        except (ValueError, RecursionError):  # cut short, or not a capsule
            pass
    return 0, 0


def _event_in_query(text: str) -> tuple[int, int]:
    """Returns the same for a url-encoded capsule."""
    query = text.split(maxsplit=1)[0]
    if not _ADDRESS.search(query):
        return 0, 0  # nothing in it changes
    letters: list[str] = _LETTER.findall(query)
    decoded = (chr(int(each[1:], 16)) if len(each) == 3 else each for each in letters[1:])
    start, end = _event_in("".join(decoded).replace("+", " "))
    return len("".join(letters[: start + 1])), len("".join(letters[: end + 1]))


def _no_address(match: re.Match[str]) -> str:
    text = _COLON.sub(":", match[0])
    if text.count(":") < 2 and text.count(".") < 3:
        return match[0]
    host, colon, port = text.rpartition(":")
    bare = text.rstrip(".")
    for address, rest in ((text, ""), (bare, text[len(bare) :]), (host, colon + port)):
        try:
            if int(ipaddress.ip_address(address)):  # `::` is the address of nobody
                return NO_ADDRESS + rest
        except ValueError:
            continue
    return match[0]
