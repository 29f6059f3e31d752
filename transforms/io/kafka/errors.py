"""What Kafka's errors mean for the code that meets one. No other module knows codes, but for
those of its own requests.
"""

from enum import Enum
from typing import Any, Final

from confluent_kafka import KafkaError

from schemas.errors import ElBeamError
from transforms.errors import SinkError

SMALL: Final = 4096  # bytes of a value that any topic must take


class KafkaAway(ElBeamError):
    """The brokers don't answer, or not to us; the message is for people."""

    transient = True


class KafkaDenied(KafkaAway):
    """This user lacks a right; the message names it."""


class ErrorKind(Enum):
    """What an error means."""

    MOVING = "the brokers are agreeing on who leads: the next request may be answered"
    AWAY = "no broker answers: later one may"
    NO_TOPIC = "the topic or partition isn't there, or not all brokers have heard of it yet"
    DENIED = "this user may not do it, or is not who he says"
    OFFSETS_GONE = "the records of these offsets are not there any more"
    OF_A_RECORD = "the brokers don't take such a record; others that share its batch fail with it"
    OTHER = "anything else: it lasts"

    @property
    def transient(self) -> bool:
        return self in (ErrorKind.MOVING, ErrorKind.AWAY)


_KINDS: Final = {
    ErrorKind.MOVING: (
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_CONTROLLER,
        KafkaError.NOT_COORDINATOR,
        KafkaError.NOT_LEADER_FOR_PARTITION,
    ),
    ErrorKind.AWAY: (
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._TIMED_OUT,
        KafkaError._TIMED_OUT_QUEUE,
        KafkaError._TRANSPORT,
        KafkaError.REQUEST_TIMED_OUT,
    ),
    ErrorKind.NO_TOPIC: (
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError._UNKNOWN_TOPIC,
    ),
    ErrorKind.DENIED: (
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError._AUTHENTICATION,
    ),
    ErrorKind.OFFSETS_GONE: (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE),
    # Of several at fault in a batch librdkafka only says that each, or another, is invalid: why is
    # known of one that fails alone.
    ErrorKind.OF_A_RECORD: (
        KafkaError.INVALID_RECORD,
        KafkaError.INVALID_TIMESTAMP,
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError._INVALID_DIFFERENT_RECORD,
    ),
}
NOT_THERE: Final = (  # no such group, or the brokers are too old to be asked
    KafkaError.GROUP_ID_NOT_FOUND,
    KafkaError._UNSUPPORTED_FEATURE,
    KafkaError.UNSUPPORTED_VERSION,
)
_KIND_OF: Final = {code: kind for kind, codes in _KINDS.items() for code in codes}
_ADVICE: Final = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "this user needs the right to write to it (Write, and "
    "Describe, on the topic)",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "this user needs the right to create topics "
    "(Create on the topic), or create it beforehand",
    KafkaError.INVALID_REPLICATION_FACTOR: "give replication=, no more than there are brokers",
    KafkaError.INVALID_PARTITIONS: "give another number as partitions=",
    KafkaError.INVALID_RECORD: "is it compacted? Then give key=",
    KafkaError.TOPIC_EXCEPTION: "names that differ in `.` and `_` only collide; choose another",
    KafkaError._UNKNOWN_TOPIC: "it was removed; it is made anew when the job starts again",
    KafkaError.MSG_SIZE_TOO_LARGE: "its max.message.bytes is too small: records of "
    f"{SMALL} bytes must fit",
    KafkaError.INVALID_TIMESTAMP: "it takes no time at all: see its message.timestamp settings",
}


def kind_of(error: KafkaError) -> ErrorKind:
    """What an error means: by its code, or else by what librdkafka says of retrying."""
    known = _KIND_OF.get(error.code())
    return known or (ErrorKind.AWAY if error.retriable() else ErrorKind.OTHER)


def reason(error: Exception) -> str:
    """What an exception says, for people, on one line."""
    content: Any = error.args[0] if error.args else error
    text = content.str() if isinstance(content, KafkaError) else str(content)
    return " ".join(text.split())


def denied(error: KafkaError, right: str) -> str:
    """What an error of the kind DENIED says, with the `right` that this user lacks, as `Read on
    topic raw`; who is not let in at all lacks none."""
    if error.code() == KafkaError._AUTHENTICATION:
        return error.str()
    return f"{error.str().rstrip('.')}: this user lacks the right {right}"


def trouble(topic: str, error: KafkaError) -> SinkError:
    """Why a topic can't be written, and what to do."""
    advice = _ADVICE.get(error.code())
    return SinkError(f"topic {topic}: {error.str()}" + (f"; {advice}" if advice else ""))
