"""One classification of Kafka's errors: by code, and by what librdkafka says of others."""

import ast
from pathlib import Path

import pytest
from confluent_kafka import KafkaError

from transforms.io.kafka.errors import ErrorKind, kind_of

TRANSFORMS = Path(__file__).resolve().parents[4] / "transforms"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (KafkaError(KafkaError.NOT_LEADER_FOR_PARTITION), ErrorKind.MOVING),
        (KafkaError(KafkaError._TRANSPORT), ErrorKind.AWAY),
        (KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART), ErrorKind.NO_TOPIC),
        (KafkaError(KafkaError._AUTHENTICATION), ErrorKind.DENIED),
        (KafkaError(KafkaError.OFFSET_OUT_OF_RANGE), ErrorKind.OFFSETS_GONE),
        (KafkaError(KafkaError.MSG_SIZE_TOO_LARGE), ErrorKind.OF_A_RECORD),
        (KafkaError(KafkaError.INVALID_PARTITIONS), ErrorKind.OTHER),
        (KafkaError(KafkaError.UNKNOWN, "x", False, True), ErrorKind.AWAY),
    ],
)
def test_what_an_error_means(error: KafkaError, kind: ErrorKind) -> None:
    assert kind_of(error) is kind
    assert kind.transient == (kind in (ErrorKind.MOVING, ErrorKind.AWAY))


def test_lists_of_codes_are_in_one_module() -> None:
    """Elsewhere a code is compared on its own, where a request of ours expects it."""
    for path in TRANSFORMS.rglob("*.py"):
        if path.name == "errors.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.Tuple, ast.List, ast.Set)) and len(node.elts) > 2:
                codes = [each for each in node.elts if ast.unparse(each).startswith("KafkaError.")]
                assert not codes, f"{path}:{node.lineno}"
