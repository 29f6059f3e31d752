"""Launching the servers of Beam's that run beside a job, each a JVM."""

from __future__ import annotations

import abc
import subprocess
import tempfile
import time
from collections.abc import Callable
from typing import Any, TypeVar

import grpc
from apache_beam.portability.api import beam_job_api_pb2_grpc
from apache_beam.runners.portability.job_server import JobServer
from apache_beam.transforms.external import JavaJarExpansionService
from apache_beam.utils.subprocess_server import pick_port
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

from runners.jars import jar

HOST = "127.0.0.1"
Result = TypeVar("Result")
_GRACE = 5.0  # seconds that a job server has to end
# Runs a command until our end of the pipe is closed, by us or by our death; then its folder, $0, is
# removed too. It leads its process group, so that its pid is its own for as long as someone waits,
# and Ctrl-C at our terminal isn't for it.
_WHILE_WE_LIVE = """\
exec 3<&0 </dev/null
(cat <&3 >/dev/null; kill -9 $$ 2>/dev/null; rm -rf "$0") &
exec "$@" 3<&-
"""
_KAFKA = (
    "{{PORT}}",
    "--defaultEnvironmentType=EMBEDDED",  # Java steps run inside the runner: no Docker
    "--javaClassLookupAllowlistFile=*",
    # The splittable read that is KafkaIO's default gives next to nothing on portable Flink.
    "--experiments=use_deprecated_read",
    # Java steps find their classes in the job server's jar. Beam stages at least one file; by
    # default it is all of the expansion service.
    f"--filesToStage={__file__}",
)


def launched(start: Callable[[], Result]) -> Result:
    """What `start` gives, which launches a server.

    A server is told a port that was free a moment before. Where another process has taken it since,
    the server ends, and `start` raises RuntimeError: then it is called again, twice."""
    attempts = Retrying(
        retry=retry_if_exception_type(RuntimeError), stop=stop_after_attempt(3), reraise=True
    )
    return attempts(start)


def kafka_expansion() -> JavaJarExpansionService:
    """What tells Beam how KafkaIO is made. Raises JarMissing."""
    return _Expansion(jar("kafka-expansion"), extra_args=list(_KAFKA))


class _Expansion(JavaJarExpansionService):
    def __enter__(self) -> Any:
        return launched(super().__enter__)


class LaunchedJobServer(JobServer, abc.ABC):
    """A JVM that takes jobs, for as long as we live. It ends with us, however we end."""

    def __init__(self, port: int = 0) -> None:
        """`port` is one of `HOST`, 0 for any that is free."""
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None
        self._stub: Any = None

    @abc.abstractmethod
    def command(self, folder: str, port: int) -> list[str]:
        """What runs it on this port of `HOST`; `folder` is its own."""

    def start(self) -> Any:
        """A client of it. It is launched if it doesn't run. Raises RuntimeError."""
        if self._process is None or self._process.poll() is not None:
            launched(self._launch)
        return self._stub

    def _launch(self) -> None:
        self.stop()
        folder = tempfile.mkdtemp(prefix="el-jvm-")
        (port,) = pick_port(self._port)
        self._process = subprocess.Popen(
            ["sh", "-c", _WHILE_WE_LIVE, folder, *self.command(folder, port)],
            stdin=subprocess.PIPE, stdout=2, start_new_session=True,
        )  # fmt: skip
        often = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 500)]
        large = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        channel = grpc.insecure_channel(f"{HOST}:{port}", options=[*often, *large])
        ready = grpc.channel_ready_future(channel)
        while not ready.done():
            if self._process.poll() is not None:
                raise RuntimeError("the job server has ended as soon as it was started")
            time.sleep(0.05)
        self._stub = beam_job_api_pb2_grpc.JobServiceStub(channel)

    def stop(self) -> None:
        """End it, if it runs. Its folder goes with it."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdin
        process.stdin.close()
