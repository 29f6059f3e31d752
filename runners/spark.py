"""Spark: the same graph, bounded, on a cluster or inside the job server."""

from __future__ import annotations

import atexit
import functools
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
from apache_beam.options.pipeline_options import (
    JobServerOptions,
    PipelineOptions,
    PortableOptions,
    SparkRunnerOptions,
)
from apache_beam.portability import python_urns
from apache_beam.portability.api import beam_fn_api_pb2_grpc, beam_job_api_pb2_grpc
from apache_beam.runners.portability.job_server import JobServer
from apache_beam.runners.portability.portable_runner import PortableRunner
from apache_beam.transforms.environments import ExternalEnvironment
from apache_beam.utils.subprocess_server import pick_port

from runners.jars import SPARK_OPENS, job_server_lib, log4j, spark_lib
from runners.launching import launched
from runners.worker_pool import WorkerPool

RUNNER = "runners.spark.SparkRunner"
ADDRESS, POOL = "SPARK", "WORKERS"  # environment variables, as `el stack env` sets them
_HOST = "127.0.0.1"
_GRACE = 5.0  # seconds that the job server has to end

# What Spark's job server knows beside Beam's own options; it would pass over others in silence.
OPTIONS = (
    "app_name bundle_size cache_disabled enable_spark_metric_sinks environment_expiration_millis "
    "load_balance_bundles prefer_group_by_key_to_handle_huge_values storage_level"
).split()

# Executors and job server hand work on to Python: compiling them well takes longer than it saves.
_JAVA = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
# Runs a command until our end of the pipe is closed, by us or by our death; then its folder, $0, is
# removed too. It leads its process group, so that its pid is its own for as long as someone waits.
_WHILE_WE_LIVE = """\
exec 3<&0 </dev/null
(cat <&3 >/dev/null; kill -9 $$ 2>/dev/null; rm -rf "$0") &
exec "$@" 3<&-
"""


class SparkAway(Exception):
    """Nobody answers at the master's address; the message is for people."""


def options(workers: int, more: Sequence[str] = ()) -> PipelineOptions:
    """Pipeline options for `workers` slots, each with a Python process of its own.

    `more` are options of Beam's and Spark's; they win. Raises JarMissing."""
    ours = [
        f"--spark_master_url={os.environ.get(ADDRESS) or f'local[{workers}]'}",
        f"--sdk_worker_parallelism={workers}",
        # Without it workers end with the last task of a stage, and the next stage starts its own.
        "--environment_cache_millis=2000",
    ]
    if pool := os.environ.get(POOL):
        ours += ["--environment_type=EXTERNAL", f"--environment_config={pool}"]
    else:
        ours += ["--environment_type=LOOPBACK"]
    # Executors have Beam's jars by their class path. Unless one is named here, whatever the job
    # server has, half a gigabyte, is copied to each of them for each job.
    smallest = min(job_server_lib().glob("*.jar"), key=lambda jar: jar.stat().st_size)
    ours.append(f"--files_to_stage={smallest}")
    spark_lib()
    return PipelineOptions([*ours, *more])


class SparkRunner(PortableRunner):
    """Gives pipelines to a job server of ours, one for each master, for as long as we live."""

    def default_job_server(self, options: PipelineOptions) -> JobServer:
        server = options.view_as(JobServerOptions)
        return _job_server(
            options.view_as(SparkRunnerOptions).spark_master_url,
            int(options.view_as(PortableOptions).sdk_worker_parallelism),
            server.job_server_java_launcher,
            tuple(server.job_server_jvm_properties),
        )

    @staticmethod
    def start_and_replace_loopback_environments(
        pipeline: Any, _: PipelineOptions
    ) -> list[Callable[[], None]]:
        """Beam's own pool listens on all addresses and starts whatever `python` is in the PATH."""
        for environment in pipeline.components.environments.values():
            if environment.urn == python_urns.EMBEDDED_PYTHON_LOOPBACK:
                ours = ExternalEnvironment(_pool()).to_runner_api(None)
                environment.urn, environment.payload = ours.urn, ours.payload
        return []


@functools.cache
def _job_server(*how: Any) -> _JobServer:
    server = _JobServer(*how)
    atexit.register(server.stop)
    return server


class _JobServer(JobServer):
    """A JVM that runs jobs on a Spark master, or in itself. It ends with us, however we end."""

    def __init__(self, master: str, slots: int, java: str, properties: tuple[str, ...]) -> None:
        self._master, self._slots, self._java, self._properties = master, slots, java, properties
        self._process: subprocess.Popen[bytes] | None = None
        self._stub: Any = None

    def start(self) -> Any:
        """A client of it. It is started if it doesn't run. Raises SparkAway."""
        _ask(self._master)
        if self._process is None or self._process.poll() is not None:
            launched(self._launch)
        return self._stub

    def _launch(self) -> None:
        self.stop()
        folder = tempfile.mkdtemp(prefix="el-spark-")
        Path(folder, "log4j2.properties").write_text(log4j("error"))
        (port,) = pick_port(None)
        self._process = subprocess.Popen(
            ["sh", "-c", _WHILE_WE_LIVE, folder, *self._command(folder, port)],
            stdin=subprocess.PIPE, stdout=2, start_new_session=True,
        )  # fmt: skip
        often = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 500)]
        large = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        channel = grpc.insecure_channel(f"{_HOST}:{port}", options=[*often, *large])
        ready = grpc.channel_ready_future(channel)
        while not ready.done():
            if self._process.poll() is not None:
                raise RuntimeError("Spark's job server has ended as soon as it was started")
            time.sleep(0.05)
        self._stub = beam_job_api_pb2_grpc.JobServiceStub(channel)

    def _command(self, folder: str, port: int) -> list[str]:
        # Its class comes before Beam's of the same name.
        beam = f"{job_server_lib()}/loopback-1.jar:{job_server_lib()}/*"
        settings = {
            "log4j2.configurationFile": f"file:{folder}/log4j2.properties",
            "java.io.tmpdir": folder,
            "spark.local.dir": folder,
            "spark.ui.enabled": "false",
            "spark.driver.host": _HOST,
            "spark.driver.bindAddress": _HOST,
            "spark.cores.max": self._slots,
            "spark.default.parallelism": self._slots,  # else what has registered by then
            "spark.executor.extraClassPath": beam,
            "spark.executor.extraJavaOptions": " ".join(_JAVA),
        }
        return [
            *(self._java, "-Xmx1g", *_JAVA, *SPARK_OPENS),
            *(f"-D{name}={value}" for name, value in settings.items()),
            *self._properties,
            *("-cp", f"{beam}:{spark_lib()}/*"),
            "org.apache.beam.runners.spark.SparkJobServerDriver",
            f"--spark-master-url={self._master}",
            f"--artifacts-dir={folder}/artifacts",
            *(f"--job-host={_HOST}", f"--job-port={port}"),
            *("--artifact-port=0", "--expansion-port=0"),
        ]

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


def _ask(master: str) -> None:
    """Spark itself would try for a minute, and then say something else. Raises SparkAway."""
    scheme, _, addresses = master.partition("://")
    if scheme != "spark":
        return
    for address in addresses.split(","):  # one of them leads
        host, _, port = address.rpartition(":")
        with suppress(OSError, ValueError):
            socket.create_connection((host, int(port)), timeout=5).close()
            return
    raise SparkAway(f"no Spark master answers at {master}")


@functools.cache
def _pool() -> str:
    """host:port of a worker pool in this process. Its workers are processes of their own."""
    server, pool = grpc.server(ThreadPoolExecutor(4)), WorkerPool(tied=True)
    atexit.register(pool.close)
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(pool, server)
    port = server.add_insecure_port(f"{_HOST}:0")
    server.start()
    atexit.register(server.stop, 0)
    return f"{_HOST}:{port}"
