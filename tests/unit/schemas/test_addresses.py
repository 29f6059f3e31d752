"""Addresses are found where they are likely; what is found is what a search of the whole would."""

import json
import re
from urllib.parse import quote

from hypothesis import example, given
from hypothesis import strategies as st

from schemas import addresses
from schemas.addresses import cleared, without_addresses

PIECES = [
    *("1.2.3.4", "192.0.2.7", "::1", "2001:db8::8a2e:370:7334", "fe80::1", "::ffff:1.2.3.4", "01"),
    *("1:2:3:4:5:6:7:8", "1%3A2%3a3:4:5:6:7:8", "0.0.0.0", "::", "1.2.3.4:80", "[::1]:80", "256"),
    *("07:00:00", "7.2.0.1", "x" * 50, "1" * 50, ".", ":", "%3A", "%3a", " ", "\t", ",", "%2C"),
    *("%22", "%7B", "%7D", "?", "{", "}", '"event":{', "%22event%22%3A%7B", '"', "%20", "\\n", "="),
    *("\\", "a", "f", "g", "T", "%", "%4", "%%", "+", "\xa0", "\x85", "\xff", ';"', "%3B", "%0A"),
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=40).map("".join)
BEFORE = ("", "?", "?%7B%22event%22%3A%7B", '{"event":{"a":"', '?{"event":{"a":"')
AFTER = ("", "%7D%7D;\t1.2.3.4 x", '"},"b":"1.2.3.4"}', "\t::1")
LETTER = re.compile("%[0-9A-Fa-f]{2}|.", re.DOTALL)


def plain(line: bytes) -> bytes:
    """The same, letter by letter."""
    text = line.decode("latin-1")
    mark, capsule, rest = "", text, ""
    if text.startswith("?"):
        capsule = re.split(r"\s", text[1:], maxsplit=1)[0]
        mark, rest = "?", text[1 + len(capsule) :]
    letters = LETTER.findall(capsule) if mark else list(capsule)
    decoded = [chr(int(each[1:], 16)) if len(each) == 3 else each for each in letters]
    start, end = event_in("".join(decoded).replace("+", " ") if mark else capsule)
    parts = ("".join(letters[part]) for part in (slice(start), slice(start, end), slice(end, None)))
    before, event, after = parts
    return (mark + all_cleared(before) + event + all_cleared(after) + all_cleared(rest)).encode(
        "latin-1"
    )


def event_in(text: str) -> tuple[int, int]:
    found = re.search(r'[{,]\s*"event"\s*:\s*(?=\{)', text) if text.startswith("{") else None
    try:
        return (
            (found.end(), json.JSONDecoder().raw_decode(text, found.end())[1]) if found else (0, 0)
        )
    except ValueError:
        return 0, 0


def all_cleared(text: str) -> str:
    return addresses._ADDRESS.sub(lambda found: addresses._instead_of(found[0]) or found[0], text)


@given(TEXTS, st.sampled_from(BEFORE), st.sampled_from(AFTER))
@example("1.2.3.4 " * 40, "", "")
@example("1.2.3.4" + "," * 2000 + "::1" + "9" * 2000 + ",::1", "?", "")
def test_as_a_search_of_the_whole(text: str, before: str, after: str) -> None:
    line = (before + text + after).encode("latin-1")
    assert without_addresses(line) == plain(line)
    assert cleared(before + text) == all_cleared(before + text)


@given(st.tuples(TEXTS, TEXTS, TEXTS), st.sampled_from(["", ":", "%", '%:{}",[]']))
def test_of_whole_capsules(texts: tuple[str, str, str], safe: str) -> None:
    """Those in the event stay, however it is encoded."""
    wiki, inside, ip = texts
    capsule = quote(json.dumps({"wiki": wiki, "event": {"a": inside}, "ip": ip}), safe=safe)
    line = f"?{capsule}; 1.2.3.4".encode()
    assert without_addresses(line) == plain(line)


def test_an_event_is_left_alone() -> None:
    event = '{"event":{"version":"7.2.0.1 é%"},"ip":"192.0.2.7"}'
    for safe in ("", "%", ':{}",.'):
        line = f"?{quote(event, safe=safe)} ::1".encode()
        assert without_addresses(line) == line.replace(b"192.0.2.7", b"0.0.0.0").replace(
            b"::1", b"0.0.0.0"
        )
