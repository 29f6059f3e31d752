"""What listens to more than this machine is found; what Beam would leave open is kept in."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import grpc
import psutil
import pytest
from server_care import exposed

from runners.loopback import kept_in

_LISTEN = """
import socket, sys
listening = socket.create_server((sys.argv[1], 0))
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def mark(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("EL_TESTS", "this test's alone")
    yield "this test's alone"


@pytest.mark.parametrize(("host", "found"), [("0.0.0.0", 1), ("127.0.0.1", 0)])
def test_who_listens_everywhere_is_found(mark: str, host: str, found: int) -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", _LISTEN, host], stdin=pipe, stdout=pipe, text=True
    ) as process:
        assert process.stdout and process.stdout.readline() == "ready\n"
        assert len(exposed("EL_TESTS", mark)) == found
        process.communicate()


def test_a_server_that_asks_for_all_addresses_gets_loopback() -> None:
    module: Any = ModuleType("of_beam")
    module.grpc = grpc
    with kept_in(module):
        with kept_in(module):
            pass
        server = module.grpc.server(ThreadPoolExecutor(1))
    assert module.grpc is grpc
    port = server.add_insecure_port("[::]:0")
    server.start()
    try:
        with grpc.insecure_channel(f"localhost:{port}") as channel:
            grpc.channel_ready_future(channel).result(10)
        listening = {
            each.laddr.ip.removeprefix("::ffff:")
            for each in psutil.Process().net_connections("tcp")
            if each.status == psutil.CONN_LISTEN and each.laddr.port == port
        }
        assert listening and listening <= {"127.0.0.1", "::1"}
    finally:
        server.stop(0)
