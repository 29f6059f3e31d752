"""Verdicts on events: identity, then the schema, then the event; and a registry that is away."""

from collections.abc import Callable
from typing import Any

import pytest

from schemas.bad_event import BadEvent, Reason, Stage, event_error
from schemas.event import Destination, Event, RawLine
from schemas.registry import InvalidSchema, Registry, RegistryUnavailable, UnknownSchema
from transforms import validate
from transforms.io import retry
from transforms.io.retry import retrying
from transforms.validate import event_validator

Json = dict[str, Any]
RegistryOf = Callable[..., Registry]
LineOf = Callable[..., RawLine]

DOCUMENT = {"properties": {"a": {"type": "integer", "required": True}, "b": {"type": "string"}}}
GOOD = {
    "schema": "S", "revision": 1, "wiki": "w", "recvFrom": "cp1", "uuid": "u",
    "dt": "2019-03-10T07:00:00Z", "event": {"a": 1},
}  # fmt: skip


class Verdict:
    def __init__(self, registry: Registry, line: RawLine) -> None:
        self.validate, self.line = event_validator(registry), line

    def __call__(self, data: Json) -> Event | BadEvent:
        return self.validate(Event(data, self.line))

    def bad(self, data: Json) -> BadEvent:
        outcome = self(data)
        assert isinstance(outcome, BadEvent)
        assert outcome.stage is Stage.VALIDATE
        assert outcome.line is self.line
        assert outcome.message.isprintable()
        return outcome


@pytest.fixture
def verdict(registry_of: RegistryOf, line_of: LineOf) -> Verdict:
    documents = {("S", 1): DOCUMENT, ("T", 2): {}, ("Other", 123): DOCUMENT}
    return Verdict(registry_of(documents), line_of("raw"))


def test_a_good_event_comes_back_as_it_is(verdict: Verdict) -> None:
    for _ in range(2):  # the second time by the fast path
        outcome = verdict(GOOD)
        assert isinstance(outcome, Event)
        assert outcome.data is GOOD


def test_a_violation_says_what_and_where_of_all(verdict: Verdict) -> None:
    data = {**GOOD, "event": {"a": "x", "b": 5, "c": 1}, "webHost": 7}
    outcome = verdict.bad(data)
    assert (outcome.reason, outcome.path) == (Reason.SCHEMA_VIOLATION, "event.a")
    assert (outcome.schema, outcome.revision, outcome.dt) == ("S", 1, "2019-03-10T07:00:00Z")
    for place in ("event.a: ", "; event.b: ", "; event: ", "; webHost: 7 is not of type"):
        assert place in outcome.message


@pytest.mark.parametrize(
    ("changes", "reason", "path", "named"),
    [
        ({"schema": "Nope"}, Reason.UNKNOWN_SCHEMA, "", ("Nope", 1)),
        ({"revision": 2}, Reason.UNKNOWN_SCHEMA, "", ("S", 2)),
        ({"schema": "../../x"}, Reason.UNKNOWN_SCHEMA, "", ("../../x", 1)),
        ({"schema": "a;DROP TABLE x"}, Reason.BAD_SCHEMA_NAME, "schema", ("a;DROP TABLE x", 1)),
        ({"schema": ["S"]}, Reason.BAD_SCHEMA_NAME, "schema", ("unknown", 1)),
        ({"schema": "x" * 900}, Reason.BAD_SCHEMA_NAME, "schema", ("x" * 255, 1)),
        ({"schema": "S\x1b[31m"}, Reason.BAD_SCHEMA_NAME, "schema", ("S\x1b[31m", 1)),
        ({"revision": "1"}, Reason.BAD_REVISION, "revision", ("S", -1)),
        ({"revision": 1.0}, Reason.BAD_REVISION, "revision", ("S", -1)),
        ({"revision": None}, Reason.BAD_REVISION, "revision", ("S", -1)),
        ({"revision": {}}, Reason.BAD_REVISION, "revision", ("S", -1)),
        ({"revision": 0}, Reason.BAD_REVISION, "revision", ("S", 0)),
        ({"revision": True}, Reason.SCHEMA_VIOLATION, "revision", ("S", -1)),
        ({"meta": {"schema_uri": "Other/123"}}, Reason.SCHEMA_VIOLATION, "", ("Other", 123)),
        ({"meta": {"schema_uri": 5}}, Reason.NO_SCHEMA, "", ("unknown", -1)),
        ({"meta": {}}, Reason.NO_SCHEMA, "", ("unknown", -1)),
    ],
)  # fmt: skip
def test_reasons(
    verdict: Verdict, changes: Json, reason: Reason, path: str, named: tuple[str, int]
) -> None:
    verdict(GOOD)  # so that the fast path knows the schema
    outcome = verdict.bad({**GOOD, **changes})
    assert (outcome.reason, outcome.path) == (reason, path)
    assert (outcome.schema, outcome.revision) == named
    event_error(outcome)


@pytest.mark.parametrize("missing", ["schema", "revision"])
def test_no_schema(verdict: Verdict, missing: str) -> None:
    outcome = verdict.bad({key: value for key, value in GOOD.items() if key != missing})
    assert outcome.reason is Reason.NO_SCHEMA


@pytest.mark.parametrize("event", [[], None, "str", 5])
def test_a_schema_without_a_type_takes_any_event(verdict: Verdict, event: object) -> None:
    data: Json = {**GOOD, "schema": "T", "revision": 2, "event": event}
    assert isinstance(verdict(data), Event)
    del data["event"]
    assert isinstance(verdict(data), Event)


@pytest.mark.parametrize("dt", ["garbage", "", 5, None, []])
def test_a_clients_time_that_is_none_still_makes_an_event_error(
    verdict: Verdict, dt: object
) -> None:
    outcome = verdict.bad({**GOOD, "dt": dt, "event": {}})
    assert event_error(outcome).data["dt"] == "2019-03-10T06:40:00Z"


class Failing(Registry):
    """Fails the first times it is asked."""

    def __init__(self, error: Exception, times: int = 10**9) -> None:
        self.error, self.times, self.asked = error, times, 0

    def get(self, schema: str, revision: int) -> Json:
        self.asked += 1
        if self.asked <= self.times:
            raise self.error
        return DOCUMENT

    def list(self) -> list[Destination]:
        return []

    def digest(self) -> str:
        return ""


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    def impatient(call: Callable[[], Any], transient: Any) -> Any:
        return retrying(call, transient, patience=0.3, longest_pause=0.001)

    monkeypatch.setattr(validate, "retrying", impatient)


@pytest.mark.usefixtures("no_pauses")
def test_a_registry_that_is_away_is_asked_again(line_of: LineOf) -> None:
    registry = Failing(RegistryUnavailable("away"), times=3)
    assert isinstance(Verdict(registry, line_of("raw"))(GOOD), Event)
    assert registry.asked == 4


@pytest.mark.usefixtures("no_pauses")
def test_no_event_is_blamed_for_a_registry_that_stays_away(line_of: LineOf) -> None:
    registry = Failing(RegistryUnavailable("away"))
    with pytest.raises(RegistryUnavailable, match="away"):
        Verdict(registry, line_of("raw"))(GOOD)
    assert registry.asked > 3


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (UnknownSchema("no such"), Reason.UNKNOWN_SCHEMA),
        (InvalidSchema("broken"), Reason.INVALID_SCHEMA),
    ],
)
def test_a_schema_that_cannot_be_had_is_the_events_fault_at_once(
    line_of: LineOf, error: Exception, reason: Reason
) -> None:
    registry = Failing(error)
    outcome = Verdict(registry, line_of("raw")).bad(GOOD)
    assert (outcome.reason, outcome.message) == (reason, str(error))
    assert registry.asked == 1


def test_a_schema_is_asked_for_once(line_of: LineOf) -> None:
    registry = Failing(RuntimeError(), times=0)
    verdict = Verdict(registry, line_of("raw"))
    for event in ({"a": 1}, {"a": 2}, {"a": "x"}, {}):
        verdict({**GOOD, "event": event})
    assert registry.asked == 1


def test_memory_is_bounded_by_the_number_of_schemas(
    monkeypatch: pytest.MonkeyPatch, line_of: LineOf
) -> None:
    monkeypatch.setattr(validate, "_MOST_VALIDATORS", 10)
    registry = Failing(RuntimeError(), times=0)
    verdict = Verdict(registry, line_of("raw"))
    for revision in range(1, 31):
        assert isinstance(verdict({**GOOD, "revision": revision}), Event)
    assert registry.asked == 30
    verdict({**GOOD, "revision": 30})
    assert registry.asked == 30


def test_other_faults_are_not_retried() -> None:
    calls = []

    def call() -> None:
        calls.append(1)
        raise KeyError("x")

    with pytest.raises(KeyError):
        retry.retrying(call, (OSError,), patience=5)
    assert len(calls) == 1


def test_what_is_waited_for_is_told_now_and_then(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def call() -> None:
        raise OSError("the broker is away")

    for every, told in ((60.0, 1), (0.0, 3)):
        caplog.clear()
        monkeypatch.setattr(retry, "_REPORT_EVERY", every)
        with pytest.raises(OSError, match="away"):
            retry.retrying(call, OSError, patience=0.3, longest_pause=0.01)
        assert len(caplog.messages) == told if told == 1 else len(caplog.messages) > told
        assert caplog.messages[0] == "trying again: the broker is away"
