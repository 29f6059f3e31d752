"""A view of a cluster whose answers fail: what passes is asked again, and a client that has gone
dumb is given up."""

from concurrent.futures import Future
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from transforms.io.kafka import broker as kafka_broker
from transforms.io.kafka.broker import KafkaTopics
from transforms.io.kafka.cluster import KafkaCluster
from transforms.io.kafka.errors import KafkaAway


class Client:
    """An AdminClient that fails with these codes, one after the other; then it answers."""

    def __init__(self, *codes: int) -> None:
        self.codes = [*codes]
        self.asked = 0

    def alter_consumer_group_offsets(self, request: list[Any], **_: Any) -> dict[str, Any]:
        self.asked += 1
        answer: Future[None] = Future()
        if self.codes:
            answer.set_exception(KafkaException(KafkaError(self.codes.pop(0))))
        else:
            answer.set_result(None)
        return {request[0].group_id: answer}


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> list[Client]:
    """Those that are made, in turn."""
    there: list[Client] = []
    left = iter(there)
    monkeypatch.setattr(kafka_broker, "AdminClient", lambda _: next(left))
    return there


def test_what_passes_is_asked_again(clients: list[Client]) -> None:
    clients.append(Client(KafkaError.COORDINATOR_LOAD_IN_PROGRESS, KafkaError.NOT_COORDINATOR))
    KafkaTopics(KafkaCluster("127.0.0.1:9")).commit("g", {("t", 0): 7})
    assert clients[0].asked == 3


def test_a_client_that_does_not_answer_is_given_up(clients: list[Client]) -> None:
    """It may never find its coordinator again, long after the broker is back."""
    clients += [Client(KafkaError._TIMED_OUT), Client()]
    view = KafkaTopics(KafkaCluster("127.0.0.1:9"))
    with pytest.raises(KafkaAway, match=r"127\.0\.0\.1:9"):
        view.commit("g", {("t", 0): 7})
    view.commit("g", {("t", 0): 7})
    assert [each.asked for each in clients] == [1, 1]
