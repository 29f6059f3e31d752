"""HDFS and Spark in the stack: they start, serve, survive kills, and listen on loopback alone."""

import getpass
import json
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psutil
import pytest
from hdfs import InsecureClient
from hdfs.util import HdfsError

from runners.local_stack import Component, Stack


@pytest.fixture
def client_of(hdfs: str) -> Callable[[str], InsecureClient]:
    """Makes a client of a user."""
    url = hdfs.replace("hdfs://", "http://")
    return lambda user: InsecureClient(url, user=user, timeout=10)


@pytest.fixture
def client(client_of: Callable[[str], InsecureClient]) -> InsecureClient:
    """Of the user that started HDFS."""
    return client_of(getpass.getuser())


def content(client: InsecureClient, path: str) -> bytes:
    with client.read(path) as reader:
        return bytes(reader.read())


def test_what_is_written_can_be_read(stack: Stack, client: InsecureClient) -> None:
    client.write("/read/a", data=b"x" * 3_000_000)
    assert content(client, "/read/a") == b"x" * 3_000_000
    assert client.list("/read") == ["a"]
    assert stack.hdfs.rpc_endpoint() != stack.hdfs.endpoint() == stack.status()["hdfs"]


def test_permissions_are_kept(client_of: Callable[[str], InsecureClient]) -> None:
    with pytest.raises(HdfsError, match="Permission denied: user=somebody"):
        client_of("somebody").write("/kept/a", data=b"x")


@pytest.mark.parametrize("name", ["namenode", "datanode"])
def test_a_killed_server_comes_back_with_its_data(
    stack: Stack, client: InsecureClient, name: str
) -> None:
    client.write(f"/{name}/before", data=b"before")
    server = stack.hdfs.process(name)
    server.kill()
    assert "hdfs" not in stack.status()
    server.start()
    server.wait()
    with suppress(HdfsError):  # the DataNode notices now that it has lost its connection
        content(client, f"/{name}/before")
    assert content(client, f"/{name}/before") == b"before"
    client.write(f"/{name}/after", data=b"after")
    assert content(client, f"/{name}/after") == b"after"
    assert "hdfs" in stack.status()


def workers_of(stack: Stack) -> list[str]:
    """The states of all Workers that Spark's Master has heard of."""
    with urllib.request.urlopen(f"http://127.0.0.1:{stack.spark.port['master_ui']}/json/") as page:
        told: dict[str, Any] = json.load(page)
    return [worker["state"] for worker in told["workers"]]


def test_a_killed_worker_of_spark_comes_back(stack: Stack, spark_cluster: str) -> None:
    assert stack.status()["spark"] == spark_cluster
    worker = stack.spark.process("spark-worker")
    worker.kill()
    assert "spark" not in stack.status()
    worker.start()
    worker.wait()
    assert workers_of(stack).count("ALIVE") == 1
    assert stack.status()["spark"] == spark_cluster


def test_a_killed_master_of_spark_gets_its_worker_again(stack: Stack, spark_cluster: str) -> None:
    stack.spark.process("spark-master").kill()
    assert "spark" not in stack.status()
    for _ in stack.up(["spark"]):
        pass
    assert workers_of(stack) == ["ALIVE"]
    assert stack.status()["spark"] == spark_cluster


@pytest.mark.usefixtures("hdfs", "spark_cluster")
def test_they_listen_on_loopback_alone(stack: Stack) -> None:
    components: list[Component] = [stack.hdfs, stack.spark]
    for process in [each for component in components for each in component.processes]:
        listening = [
            each.laddr.ip
            for each in psutil.Process(process.pid).net_connections("tcp")
            if each.status == psutil.CONN_LISTEN
        ]
        assert listening
        assert set(listening) <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}, process.name
