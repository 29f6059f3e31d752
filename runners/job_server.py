"""Launching the servers of Beam's that run beside a job, each a JVM."""

import abc
import atexit
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from typing import Any

import grpc
from apache_beam.portability.api import beam_job_api_pb2_grpc
from apache_beam.runners.portability.job_server import JobServer
from apache_beam.transforms.external import ExpansionAndArtifactRetrievalStub
from apache_beam.utils.subprocess_server import JavaHelper, pick_port
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

from runners.addresses import LOOPBACK
from runners.jars import JarMissing, jar
from runners.orphans import environment

QUICK = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""What JVMs get that hand work on: compiling them well takes longer than it saves."""

_GRACE = 5.0  # seconds that a server has to end
# It is told a port that was free a moment before; another process may have taken it since.
_ATTEMPTS = Retrying(
    retry=retry_if_exception_type(RuntimeError), stop=stop_after_attempt(3), reraise=True
)
# Runs a command until our end of the pipe is closed, by us or by our death; then its folder, $0, is
# removed too. It leads its process group, so that its pid is its own for as long as someone waits,
# and Ctrl-C at our terminal isn't for it.
_WHILE_WE_LIVE = """\
exec 3<&0 </dev/null
(cat <&3 >/dev/null; kill -9 $$ 2>/dev/null; rm -rf "$0") &
exec "$@" 3<&-
"""
_KAFKA = (
    "--defaultEnvironmentType=EMBEDDED",  # Java steps run inside the runner: no Docker
    "--javaClassLookupAllowlistFile=*",
    # The splittable read that is KafkaIO's default gives next to nothing on portable Flink.
    "--experiments=use_deprecated_read",
    # Java steps find their classes in the job server's jar. Beam stages at least one file; by
    # default it is all of the expansion service.
    f"--filesToStage={__file__}",
)


_endings: list[Callable[[], object]] = []


def at_end(act: Callable[[], object]) -> None:
    """Let `end_all`, and so the end of this process, call this."""
    _endings.append(act)


@atexit.register
def end_all() -> None:
    """End the servers and workers of this process's jobs. The next job starts its own."""
    for act in reversed(_endings):
        act()


class Launched(abc.ABC):
    """A server of Beam's, a JVM of our own. It ends with us, however we end."""

    def __init__(self, port: int = 0) -> None:
        """`port` is one of `LOOPBACK`, 0 for any that is free."""
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Any = None

    @abc.abstractmethod
    def command(self, folder: str, port: int) -> list[str]:
        """What runs it on this port of `LOOPBACK`; `folder` is its own."""

    def channel(self) -> Any:
        """A gRPC channel to it. It is launched if it doesn't run. Raises JarMissing without Java,
        RuntimeError where it ends at once."""
        if self._process is None or self._process.poll() is not None:
            _ATTEMPTS.copy()(self._launch)
        return self._channel

    def _launch(self) -> None:
        self.stop()
        folder = tempfile.mkdtemp(prefix="el-jvm-")
        (port,) = pick_port(self._port)
        command = self.command(folder, port)
        if not shutil.which(command[0]):
            shutil.rmtree(folder)
            raise JarMissing(f"there is no {command[0]} here: {self} needs Java 17")
        self._process = subprocess.Popen(
            ["sh", "-c", _WHILE_WE_LIVE, folder, *command],
            stdin=subprocess.PIPE, stdout=2, start_new_session=True, env=environment(),
        )  # fmt: skip
        often = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 500)]
        large = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        self._channel = grpc.insecure_channel(f"{LOOPBACK}:{port}", options=[*often, *large])
        ready = grpc.channel_ready_future(self._channel)
        while not ready.done():
            if self._process.poll() is not None:
                raise RuntimeError(f"{self} has ended as soon as it was started")
            time.sleep(0.05)

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

    def kill(self) -> None:
        """End it at once, where this process ends, too: its folder goes then."""
        if self._process:
            self._process.kill()


class LaunchedJobServer(Launched, JobServer):
    """What takes jobs, for as long as we live."""

    def __str__(self) -> str:
        return "the job server"

    def start(self) -> Any:
        """A client of it. Raises RuntimeError."""
        return beam_job_api_pb2_grpc.JobServiceStub(self.channel())


class KafkaExpansion(Launched):
    """What tells Beam how KafkaIO is made, while a `with` block runs."""

    def __init__(self) -> None:
        """Raises JarMissing."""
        super().__init__()
        self._jar = jar("kafka-expansion")

    def __str__(self) -> str:
        return "the expansion service"

    def command(self, folder: str, port: int) -> list[str]:
        java = [JavaHelper.get_java(), *QUICK, *java_settings(folder), "-jar", self._jar]
        return [*java, str(port), *_KAFKA]

    def __enter__(self) -> Any:
        return ExpansionAndArtifactRetrievalStub(self.channel())

    def __exit__(self, *_: object) -> None:
        self._channel.close()
        self.stop()


def java_settings(folder: str) -> list[str]:
    """Of a JVM that says what goes wrong, and nothing else; `folder` has its temporary files."""
    settings = {"java.io.tmpdir": folder, "org.slf4j.simpleLogger.defaultLogLevel": "error"}
    return [f"-D{name}={value}" for name, value in settings.items()]
