"""The capsule's rules: times, identities, names of schemas."""

import uuid
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.capsule import (
    BadIdentity,
    NotATime,
    capsule_uuid,
    check_scid,
    event_time,
    iso8601_from_timestamp,
    parse_time,
    scid_from_uri,
    scid_of,
    uuid5_hex,
)

RECEIPT = 1_552_200_000.0
WITHOUT_DT = {"recvFrom": "h", "seqId": 5}


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_uuid5_hex_is_pythons_uuid5(name: str) -> None:
    assert uuid5_hex(name) == uuid.uuid5(uuid.NAMESPACE_URL, name).hex


@given(st.datetimes(), st.integers(-24 * 60 + 1, 24 * 60 - 1))
def test_a_time_is_read_as_it_is_written(naive: datetime, minutes: int) -> None:
    moment = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert parse_time(moment.isoformat()) == moment
    assert parse_time(naive.isoformat()) == naive.replace(tzinfo=UTC)
    if minutes:
        assert iso8601_from_timestamp(moment.isoformat()) == moment.isoformat()


@given(
    st.text(max_size=70)
    | st.text("0123456789-+:.TZ /apm", max_size=30)
    | st.floats()
    | st.integers()
    | st.none()
    | st.lists(st.integers(), max_size=2)
)
def test_anything_is_a_time_or_not_a_time(value: object) -> None:
    try:
        moment = parse_time(value)
    except NotATime as error:
        assert str(error).isprintable()
    else:
        assert moment.utcoffset() is not None
        assert isinstance(moment.timestamp(), float)
        assert isinstance(iso8601_from_timestamp(value), str)


@pytest.mark.parametrize("text", ["10:11", "5", "Tuesday"])
def test_missing_parts_of_a_time_are_not_todays(text: str) -> None:
    assert parse_time(text).year == 1970


def test_a_long_time_is_refused_unread() -> None:
    with pytest.raises(NotATime, match="70 characters"):
        parse_time("2019-01-01T00:00:00" + " " * 51)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"dt": "2019-03-10T07:00:00Z"}, 1_552_201_200.0),
        ({"dt": "2019-03-10T07:00:00+02:00"}, 1_552_194_000.0),
        ({"dt": "2019-03-10T07:00:00"}, 1_552_201_200.0),
        ({"dt": "2019-03-10T07:00:00Z", "timestamp": 5}, 1_552_201_200.0),
        ({"timestamp": 5}, 5.0),
        ({"timestamp": 1_552_201_200_123}, 1_552_201_200.123),
        ({"dt": "garbage", "timestamp": 5}, 5.0),
        ({"dt": 17, "timestamp": "garbage"}, RECEIPT),
        ({"dt": None, "timestamp": None}, RECEIPT),
        ({}, RECEIPT),
    ],
)
def test_event_time(data: dict[str, Any], expected: float) -> None:
    assert event_time(data, RECEIPT) == expected


@pytest.mark.parametrize("timestamp", [None, [], "garbage", 1e20, {}])
def test_an_impossible_timestamp_fails_the_event_even_beside_a_dt(timestamp: object) -> None:
    with pytest.raises(NotATime):
        capsule_uuid({**WITHOUT_DT, "dt": "2019-01-01T00:00:00Z", "timestamp": timestamp})


def test_the_uuid_takes_dt_as_it_is_and_makes_one_of_timestamp() -> None:
    with_dt = capsule_uuid({**WITHOUT_DT, "dt": "2013-01-21T18:10:34Z"})
    assert capsule_uuid({**WITHOUT_DT, "timestamp": 1358791834}) == with_dt
    assert capsule_uuid({**WITHOUT_DT, "dt": None, "timestamp": 1358791834}) == with_dt
    assert capsule_uuid({**WITHOUT_DT, "dt": "2013-01-21T18:10:34"}) != with_dt


@pytest.mark.parametrize(
    ("data", "scid"),
    [
        ({"schema": "S", "revision": 1}, ("S", 1)),
        ({"schema": None, "revision": []}, (None, [])),
        ({"schema": "S"}, None),
        ({"revision": 1}, None),
        ({"schema": "S", "revision": 1, "meta": {"schema_uri": "a/b/7"}}, ("a/b", 7)),
        ({"schema": "S", "revision": 1, "meta": {}}, None),
        ({"schema": "S", "revision": 1, "meta": {"schema_uri": 5}}, None),
        ({"schema": "S", "revision": 1, "meta": "no object"}, ("S", 1)),
        ({"meta": {"schema_uri": "S"}}, ("S", None)),
    ],
)
def test_scid_of(data: dict[str, Any], scid: object) -> None:
    assert scid_of(data) == scid


@pytest.mark.parametrize("uri", [None, 5, [], "", "a b/1", "http://x", f"{'a/' * 30_000}!"])
def test_what_names_no_schema(uri: object) -> None:
    assert scid_from_uri(uri) is None


@pytest.mark.parametrize("name", ["a", "A/b.c-d_9", "x" * 63, "TestSchema\n", "../../x"])
def test_names_that_a_schema_can_have(name: str) -> None:
    check_scid(name, 1)


@pytest.mark.parametrize("name", ["", "x" * 64, "a b", "é", "a;b", "a\0", 5, None, ["a"]])
def test_names_that_no_schema_can_have(name: object) -> None:
    with pytest.raises(BadIdentity) as caught:
        check_scid(name, 1)
    assert caught.value.part == "schema"
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("revision", [0, -1, False, 1.0, "1", None, [1], {}])
def test_revisions_that_no_schema_can_have(revision: object) -> None:
    with pytest.raises(BadIdentity) as caught:
        check_scid("S", revision)
    assert caught.value.part == "revision"
