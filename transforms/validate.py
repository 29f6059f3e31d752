"""Makes a BadEvent of an event that breaks its schema, or has none.

Order and codes are the original's (BEHAVIOUR 7 to 9): identity, then the schema, then the event.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from schemas.bad_event import UNKNOWN, BadEvent, Reason, Stage
from schemas.capsule import BadIdentity, check_scid, scid_of
from schemas.event import Event
from schemas.registry import InvalidSchema, Registry, RegistryUnavailable, UnknownSchema
from schemas.validation.validator import Validator
from transforms.io.retry import retrying
from transforms.line_time import NEWEST, LineTimes, by_rules

Validate = Callable[[Event], Event | BadEvent]
_MOST_VALIDATORS = 5_000  # compiled schemas kept; a run has some hundreds


def event_validator(registry: Registry, times: LineTimes = NEWEST) -> Validate:
    """Returns a function that returns a valid event as it is, and a BadEvent for any other, whose
    time `times` chooses.

    The function raises RegistryUnavailable if the registry stays away; no event is bad for that."""
    validators: dict[tuple[Any, Any], Validator] = {}
    bad = partial(_bad, times=times)

    def validator_of(schema: str, revision: int) -> Validator:
        try:
            document = registry.get(schema, revision)
        except RegistryUnavailable:
            document = retrying(lambda: registry.get(schema, revision), RegistryUnavailable)
        if len(validators) >= _MOST_VALIDATORS:
            validators.clear()
        return validators.setdefault((schema, revision), Validator(document))

    def validate(event: Event) -> Event | BadEvent:
        data = event.data
        try:  # the fast way of all good events; `meta` would name another schema
            if "meta" not in data and validators[data["schema"], data["revision"]].accepts(data):
                return event
        except (KeyError, TypeError):  # seen for the first time, missing, or not hashable
            pass
        return judge(event)

    def judge(event: Event) -> Event | BadEvent:
        scid = scid_of(event.data)
        if scid is None:
            message = "the event does not say its schema and revision"
            return bad(event, Reason.NO_SCHEMA, message)
        try:
            check_scid(*scid)
            new = scid not in validators
            validator = validator_of(*scid) if new else validators[scid]
        except BadIdentity as error:
            reason = Reason.BAD_REVISION if error.part == "revision" else Reason.BAD_SCHEMA_NAME
            return bad(event, reason, str(error), scid, error.part)
        except UnknownSchema as error:
            return bad(event, Reason.UNKNOWN_SCHEMA, str(error), scid)
        except InvalidSchema as error:
            return bad(event, Reason.INVALID_SCHEMA, str(error), scid)
        if new and validator.accepts(event.data):
            return event
        violations = validator.violations(event.data)
        if not violations:
            return event
        texts = (f"{each.path}: {each.message}".removeprefix(": ") for each in violations)
        return bad(event, Reason.SCHEMA_VIOLATION, "; ".join(texts), scid, violations[0].path)

    return validate


def _bad(
    event: Event, reason: Reason, message: str, scid: tuple[Any, Any] = UNKNOWN, path: str = "",
    *, times: LineTimes,
) -> BadEvent:  # fmt: skip
    schema, revision = scid
    schema = schema[:255] if isinstance(schema, str) else UNKNOWN.schema
    if not isinstance(revision, int) or isinstance(revision, bool):
        revision = UNKNOWN.revision
    dt = times(event.line, by_rules(event.data))
    return BadEvent(event.line, Stage.VALIDATE, reason, message, path, schema, revision, dt)
