"""What a bad line costs beside a good one of its length, for each reason, and linearly: a flood of
bad lines must not bring the stream to a stop. Each line goes through the pure functions: parse,
validate, route, EventError, JSON. Rounds are interleaved; each figure is the least CPU time of
its rounds.

    scripts/bench bad [--rounds N] [--only WORD] [--sizes SIZE,…]

A ! marks what costs more than it should.
"""

import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from traffic.trial import parser

SIZES = {"1 KB": 1_000, "64 KB": 64_000, "1 MB": 1_000_000}
PARSING, JUDGING = 3.0, 5.0  # times a good line of its length, at most
TEXT = "Über die Brücke, 3 <b>words</b> & version 10.2 more: 12:30; "
TAIL = ("cp3066.esams.wmnet", "132073", "2019-03-10T07:00:00", "192.0.2.7",
        "Mozilla/5.0 (X11; Linux x86_64; rv:60.0) Gecko/20100101 Firefox/60.0")  # fmt: skip
DOCUMENT = {
    "properties": {
        "text": {"type": "string"}, "action": {"enum": ["a", "b"], "required": True},
        "n": {"type": "integer"}, "list": {"type": "array", "items": {"type": "integer"}},
        "pair": {"type": ["integer", {"type": "array", "items": {"type": "string"}}]},
    }
}  # fmt: skip
Make = Callable[[int], bytes]


def line(capsule: str, tail: tuple[str, ...] = TAIL) -> bytes:
    return "\t".join((f"?{capsule};", *tail)).encode("latin-1")


def capsule(event: str, schema: str = '"Text"', revision: str = "1", more: str = "") -> str:
    text = f'{{"event":{event},"schema":{schema},"revision":{revision},"wiki":"enwiki"{more}}}'
    return quote(text, safe="!'()*-._~")


def filled(before: str, after: str = "", piece: str = TEXT) -> Callable[[int], str]:
    """An event with as much text as a line of that size has room for."""
    width = len(quote(piece, safe="!'()*-._~"))
    return lambda size: f"{before}{piece * max((size - 500) // width, 0)}{after}"


good_event = filled('{"action":"a","text":"', '"}')
numbers = filled('{"action":"a","list":[1', "]}", ",1")


def of(event: Callable[[int], str], **more: str) -> Make:
    return lambda size: line(capsule(event(size), **more))


def tailed(place: int, text: str) -> Make:
    tail = (*TAIL[:place], text, *TAIL[place + 1 :])
    return lambda size: line(capsule(good_event(size)), tail)


def nested(before: str, after: str, inside: str = "") -> Make:
    def made(size: int) -> bytes:
        levels = max((size - 200) // len(before + after), 300)
        return line(before * levels + inside + after * levels)

    return made


KINDS: dict[str, tuple[Make, Make, float]] = {
    # name: the bad line, the good one, how many times as much it may cost
    name: (bad, good, most)
    for most, good, kinds in (
        (PARSING, of(good_event), {
            "format_mismatch": lambda size: line(capsule(good_event(size)), TAIL[:2]),
            "format_mismatch, no query": lambda size: b"x" * size,
            "bad_encoding": lambda size: line(capsule(good_event(size)) + "%FF"),
            "bad_json, cut": lambda size: line(capsule(good_event(size))[:-60]),
            "bad_json, early": lambda size: line("%7B%7B" + capsule(good_event(size))),
            "not_an_object": lambda size: line(f"%5B{capsule(good_event(size))}%5D"),
            "too_deep": nested("%5B", "%5D"),
            "too_deep, objects": nested("%7B%22a%22%3A", "%7D", "1"),
            "hostile, brackets": lambda size: line("%5B" * (size // 3 - 60)),
            "unstorable_value": of(filled('{"action":"a","n":NaN,"text":"', '"}')),
            "unstorable_value, digits": of(filled('{"n":1', "}", "0")),
            "bad_field": tailed(1, "9" * 20),
            "bad_timestamp": tailed(2, "2019-02-31T07:00:00"),
            "bad_user_agent": tailed(4, "x" * 801),
            "reserved_schema": of(good_event, schema='"EventError"'),
        }),
        (JUDGING, of(good_event), {
            "no_schema": of(good_event, more=',"meta":{}'),
            "bad_schema_name": of(good_event, schema='"a b"'),
            "bad_revision": of(good_event, revision="-1"),
            "unknown_schema": of(good_event, revision="2"),
            "invalid_schema": of(good_event, schema='"Broken"'),
            "schema_violation, type": of(filled('{"action":"a","n":"1","text":"', '"}')),
            "schema_violation, enum": of(filled('{"action":"c","text":"', '"}')),
            "schema_violation, required": of(filled('{"text":"', '"}')),
            "schema_violation, capsule": of(good_event, more=',"x":1'),
            "schema_violation, union": of(filled('{"action":"a","pair":"', '"}')),
        }),
        (JUDGING, of(numbers), {
            "schema_violation, an item": of(filled('{"action":"a","list":["1"', "]}", ",1")),
            "schema_violation, all items": of(filled('{"action":"a","list":[1', "]}", ',"1"')),
        }),
    )
    for name, bad in kinds.items()
}  # fmt: skip
for what, piece in (("addresses", "1.2.3.4 "), ("colons", "::ffff:1.2.3.4")):
    good = of(filled('{"action":"a","text":"', '"}', piece))
    KINDS[f"hostile, {what}"] = of(filled('{"action":"c","text":"', '"}', piece)), good, JUDGING
KINDS["hostile, keys"] = (
    lambda size: line(capsule("{" + ",".join(f'"k{i}":1' for i in range(size // 28)) + "}")),
    of(numbers), JUDGING,
)  # fmt: skip


def write_schemas(folder: str) -> None:
    """Those of the lines, for `--schemas`."""
    for name, text in (("Text", json.dumps(DOCUMENT)), ("Broken", '{"type": 5}')):
        (Path(folder) / name).mkdir()
        (Path(folder) / name / "1.json").write_text(text)


def measure(rounds: int, only: str, sizes: list[str]) -> dict[str, dict[str, list[float]]]:
    """Kind -> size -> microseconds of the bad line, of the good one."""
    from runners.memory import collect_seldom
    from schemas import strict_json
    from schemas.bad_event import BadEvent, event_error
    from schemas.event import Event, Origin, RawLine
    from schemas.line_format import DEFAULT_FORMAT
    from schemas.registry import open_registry
    from transforms.parse import line_parser
    from transforms.route import route
    from transforms.validate import event_validator

    with tempfile.TemporaryDirectory() as folder:
        write_schemas(folder)
        registry = open_registry(folder)
        parse, validate = line_parser(DEFAULT_FORMAT), event_validator(registry)

        def whole(raw: bytes) -> str:
            outcome = parse(RawLine(raw, Origin("file", "/var/log/beacon.log", 5, 1.55e9, "s")))
            if isinstance(outcome, Event):
                outcome = validate(outcome)
            _, found = route(outcome)
            event = event_error(found) if isinstance(found, BadEvent) else found
            strict_json.dumps(event.data)
            return str(found.reason.value) if isinstance(found, BadEvent) else "valid"

        def timed(raw: bytes) -> float:
            times = max(1, 20_000 // len(raw))
            began = time.process_time()
            for _ in range(times):
                whole(raw)
            return (time.process_time() - began) / times * 1e6

        collect_seldom()
        found: dict[str, dict[str, list[float]]] = {}
        for name, label in ((name, label) for name in KINDS if only in name for label in sizes):
            bad, good = (make(SIZES[label]) for make in KINDS[name][:2])
            assert name.startswith((whole(bad), "hostile")) and whole(good) == "valid", name
            pairs = ((timed(bad), timed(good)) for _ in range(rounds))
            found.setdefault(name, {})[label] = [min(each) for each in zip(*pairs, strict=True)]
    return found


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=9)
    options.add_argument("--only", default="", help="kinds whose names have this in them")
    options.add_argument("--sizes", help="some of " + ", ".join(SIZES))
    args = options.parse_args()
    sizes = args.sizes.split(",") if args.sizes else [*SIZES]
    found = measure(args.rounds, args.only, sizes)
    print(f"load {os.getloadavg()[0]:.1f}; microseconds a line, and times a good one of its length")
    print(f"{'':30}" + "".join(f"{label:>19}" for label in sizes) + "   1 MB/64 KB")
    for name, its in found.items():
        most = KINDS[name][2]
        cells = [
            f"{bad:10,.0f} ({bad / good:6.1f}{'!' if bad > most * good else ' '})"
            for bad, good in its.values()
        ]
        ratio = its["1 MB"][0] / its["64 KB"][0] if len(its) == len(SIZES) else 0
        print(f"{name:30}" + "".join(f"{cell:>19}" for cell in cells) + f"{ratio:10.1f}")


if __name__ == "__main__":
    main()
