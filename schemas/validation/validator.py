"""Validates an event against its capsule and its schema (BEHAVIOUR 6 and 7).

There are two judges. The authority is jsonschema's Draft3Validator with the original's meaning
(draft3.py); it says what is wrong and where. The fast path (fast_path.py) may accept an
event, but never reject it: the authority decides on all events that it doesn't accept.
"""

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from jsonschema.exceptions import UnknownType, ValidationError
from referencing.exceptions import Unresolvable

from schemas.capsule import CAPSULE, Json
from schemas.validation.documents import plain
from schemas.validation.draft3 import AUTHORITY, NO_REMOTE_SCHEMAS, More
from schemas.validation.fast_path import compile_part, compile_schema
from schemas.validation.judged import Known, TooManySteps, one_value
from schemas.validation.messages import LONGEST_MESSAGE, printable, readable_path
from schemas.validation.patterns import SearchTooLong, limited
from schemas.validation.references import loose_ends, rooted, targets

MOST_VIOLATIONS: Final = 20
_COUNTED: Final = 1000  # violations counted, not shown: from there it is "at least"


class Violation(NamedTuple):
    path: str  # where: `event.uploads.count`, `event.l[2].c`; empty for the capsule itself
    message: str  # what: at most LONGEST_MESSAGE printable characters
    keyword: str  # the schema's keyword that is broken: `type`, `required`, …


def encapsulate(document: Json) -> Json:
    """Makes the schema of a whole event: the capsule's, with the document in place of `event`.

    As in the original, only the document says what an event must be (not even an object, if it has
    no `type`), and its own top level is closed unless it says otherwise."""
    event = rooted(plain(document))
    event.setdefault("additionalProperties", False)  # last: the order of keywords is that of errors
    return {**CAPSULE, "properties": {**CAPSULE["properties"], "event": event}}


def reservations(document: Json) -> list[str]:
    """Returns a sentence on each part of a schema that makes events bad whatever they say, or just
    for being long."""
    return [*limited(document), *loose_ends(encapsulate(document))]


class Validator:
    """Judges one schema's events. Make one for each schema; it is thread-safe and can't be
    pickled."""

    accepts: Callable[[Json], bool]
    """Returns whether an event (its whole capsule) surely is valid. False means "ask violations".
    The values must be what orjson reads. Never raises."""

    def __init__(self, document: Json) -> None:
        schema = encapsulate(document)
        self.accepts = compile_schema(schema) or _unsure
        self._authority = AUTHORITY(schema, registry=NO_REMOTE_SCHEMAS)
        self._known = Known(compile_part, targets(schema))

    def violations(self, data: Json) -> list[Violation]:
        """Returns what is wrong with the event, in the order of the capsule's and the schema's
        keywords: the original reports the first one. An empty list means valid.

        There are at most MOST_VIOLATIONS; the last one says how many more there are. If the schema
        itself fails (a type that draft 3 doesn't know, an endless `$ref`), the event is bad, as in
        the original; this is then the last violation."""
        found: list[Violation] = []
        more = 0
        try:
            with one_value(self._known) as judged:
                for error in self._authority.iter_errors(data):
                    if len(found) < MOST_VIOLATIONS:
                        found.append(_violation(error))
                        judged.counting = len(found) == MOST_VIOLATIONS
                        continue
                    more += error.count if isinstance(error, More) else 1
                    if more >= _COUNTED:
                        break
        except _SCHEMA_FAILURES as error:
            found = [*found[: MOST_VIOLATIONS - 1], _failure(error)]
        if more:
            count = f"at least {_COUNTED}" if more >= _COUNTED else str(more)
            last = found[-1]
            message = printable(last.message, LONGEST_MESSAGE - 40)
            found[-1] = last._replace(message=f"{message} (and {count} more violations)")
        return found


_SCHEMA_FAILURES: Final = (
    *(UnknownType, Unresolvable, RecursionError, re.error),
    *(ArithmeticError, AttributeError, LookupError, TypeError, ValueError),
)


def _unsure(_: Json) -> bool:
    return False


def _violation(error: ValidationError) -> Violation:
    message = printable(error.message, LONGEST_MESSAGE)
    return Violation(readable_path(error.absolute_path), message, str(error.validator))


def _failure(error: Exception) -> Violation:
    if isinstance(error, UnknownType):
        what = f"the schema has a type that draft 3 doesn't know: {error.type!r}"
    elif isinstance(error, RecursionError):
        what = "the event or the schema's $ref nests too deep to be checked"
    elif isinstance(error, (SearchTooLong, TooManySteps)):
        keyword = "pattern" if isinstance(error, SearchTooLong) else "schema"
        return Violation("", printable(str(error), LONGEST_MESSAGE), keyword)
    elif isinstance(error, Unresolvable):
        ref = f"#{error.ref}" if error.ref.startswith("/") else error.ref
        what = f"the schema can't be applied: its $ref {ref!r:.200} leads nowhere"
    else:
        what = f"the schema can't be applied: {type(error).__name__}: {error}"
    return Violation("", printable(what, LONGEST_MESSAGE), "schema")
