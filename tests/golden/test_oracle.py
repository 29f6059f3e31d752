"""Line by line as the original: 20,000 lines with the verdicts of EventLogging itself.

Where DESIGN differs on purpose, the difference is derived here from its rule and asserted; all else
must be equal. The values of user agents differ by the version of ua-parser: their keys and types
are compared.
"""

import uuid
from collections import Counter

import pytest
from oracle import HERE, Line, corpus, storable

from schemas.bad_event import BadEvent, Reason
from schemas.capsule import check_scid, scid_of
from schemas.event import Event, Origin, RawLine
from schemas.line_format import DEFAULT_FORMAT
from schemas.registry import open_registry
from schemas.user_agent import FLAGS, TEXTS
from transforms.parse import line_parser
from transforms.validate import event_validator


@pytest.fixture(scope="module")
def lines() -> list[Line]:
    found = corpus()
    parse = line_parser(DEFAULT_FORMAT)
    validate = event_validator(open_registry(str(HERE / "schemas")))
    offset = 0
    for line in found:
        origin = Origin("file", "corpus.log", offset, 1_552_200_000.0, "corpus.log-0")
        outcome = parse(RawLine(line.raw, origin))
        line.ours = outcome if isinstance(outcome, BadEvent) else validate(outcome)
        offset += len(line.raw) + 1
    return found


def test_the_corpus_is_whole(lines: list[Line]) -> None:
    assert len(lines) == 20_000
    assert all((line.valid is None) != (line.invalid is None) for line in lines)


def test_every_line_ends_in_one_place_and_bad_ones_say_why(lines: list[Line]) -> None:
    for line in lines:
        assert isinstance(line.ours, (Event, BadEvent))
        assert line.ours.line.data == line.raw
        if isinstance(line.ours, BadEvent):
            assert len(line.ours.message) > 10
            assert line.ours.message.isprintable(), line.ours.message


def test_verdicts_equal_the_originals(lines: list[Line]) -> None:
    differing: Counter[tuple[str, str, str]] = Counter()
    for line in lines:
        ours = line.ours.reason.code.value if isinstance(line.ours, BadEvent) else "valid"
        original = line.invalid["code"] if line.invalid else "valid"
        if ours == original:
            continue
        if isinstance(line.ours, BadEvent) and line.ours.reason is Reason.UNSTORABLE:
            assert not storable(line.capsule), line.number
            continue
        if line.sets_line_fields and original == "processor":
            continue  # the original stumbled over a client's line field, which counts for nothing
        if line.invalid and line.invalid.get("lost"):
            continue  # it lost the event altogether
        differing[line.kind, original, ours] += 1
    # a seqId of the line itself that is beyond 64 bits: no sink can hold it
    assert differing == {("bad_seqid", "valid", "processor"): 2}


def test_what_no_sink_can_hold_is_bad_and_says_so(lines: list[Line]) -> None:
    for line in lines:
        if line.valid is not None and not storable(line.capsule):
            assert isinstance(line.ours, BadEvent), line.number
            assert line.ours.reason is Reason.UNSTORABLE


def test_fields_and_uuids_equal_the_originals(lines: list[Line]) -> None:
    compared = replaced = 0
    for line in lines:
        if line.valid is None or not isinstance(line.ours, Event):
            continue
        expected = dict(line.valid)
        if line.sets_line_fields:
            recv_from, seq_id, dt, ip = line.raw.decode("utf-8", "replace").split("\t")[1:5]
            expected |= {"recvFrom": recv_from, "seqId": int(seq_id), "dt": f"{dt}Z", "ip": ip}
            name = f"event://{recv_from}/?seqId={seq_id}&dt={dt}Z"
            expected["uuid"] = uuid.uuid5(uuid.NAMESPACE_URL, name).hex
            replaced += 1
        agent, ours = expected.pop("userAgent", None), dict(line.ours.data)
        our_agent = ours.pop("userAgent", None)
        assert ours == expected, line.number
        if isinstance(agent, dict):
            assert tuple(our_agent) == (*TEXTS, *FLAGS)
            assert set(agent) == set(our_agent)
            for key, value in our_agent.items():
                wanted = bool if key.startswith("is_") else (str, type(None))
                assert isinstance(value, wanted), (line.number, key)
        else:
            assert our_agent == agent
        compared += 1
    assert compared > 19_000
    assert replaced > 30


def test_bad_events_name_what_the_original_named(lines: list[Line]) -> None:
    compared = 0
    for line in lines:
        if line.invalid is None or not isinstance(line.ours, BadEvent):
            continue
        if line.invalid.get("lost"):
            assert line.ours.reason is Reason.NO_SCHEMA  # lost there, an event here
            continue
        schema, revision = line.invalid["err_schema"], line.invalid["err_revision"]
        # EventError's own schema has a text and an integer there: other types have no column
        expected_revision = revision if type(revision) is int and revision < 2**63 else -1
        if not storable(line.capsule):
            continue  # never parsed here, so named from the raw text
        assert line.ours.schema == (schema if isinstance(schema, str) else "unknown"), line.number
        assert line.ours.revision == expected_revision, line.number
        compared += 1
    assert compared > 700


def test_the_first_violation_is_the_originals(lines: list[Line]) -> None:
    compared = 0
    for line in lines:
        if line.invalid and line.invalid.get("validator") and isinstance(line.ours, BadEvent):
            if line.ours.reason is not Reason.SCHEMA_VIOLATION:
                continue
            path = ""
            for step in line.invalid["path"]:
                path += f"[{step}]" if isinstance(step, int) else f".{step}"
            assert line.ours.path == path.removeprefix("."), line.number
            compared += 1
    assert compared > 300


def test_reasons_fit_the_kinds(lines: list[Line]) -> None:
    found: dict[str, set[str]] = {}
    for line in lines:
        if isinstance(line.ours, BadEvent):
            found.setdefault(line.kind, set()).add(line.ours.reason.value)
    assert found["bad_utf8_percent"] == {"bad_encoding"}
    assert found["capsule_not_object"] == {"not_an_object"}
    assert found["missing_ua"] == {"format_mismatch"}
    assert found["long_ua"] == {"bad_user_agent"}
    assert found["unknown_revision"] == {"unknown_schema", "unstorable_value"}
    assert found["lone_surrogate"] == {"unstorable_value"}
    assert found["missing_required"] == {"schema_violation"}
    assert "deep_nesting" not in found or found["deep_nesting"] == {"too_deep"}


def test_routing_never_asks_the_topic(lines: list[Line]) -> None:
    for line in lines:
        if isinstance(line.ours, Event):
            scid = scid_of(line.ours.data)
            assert scid == (line.ours.data["schema"], line.ours.data["revision"])
            check_scid(*scid)
