"""Spark: the same graph, bounded, on a cluster or inside the job server."""

import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from apache_beam.options.pipeline_options import (
    JobServerOptions,
    PipelineOptions,
    PortableOptions,
    SparkRunnerOptions,
)
from apache_beam.runners.portability.job_server import JobServer
from apache_beam.runners.portability.portable_runner import PortableRunner

from runners.addresses import LOOPBACK, answers
from runners.jars import SPARK_OPENS, before_beams, job_server_lib, log4j, spark_lib
from runners.job_server import QUICK, LaunchedJobServer, at_end
from runners.local_pool import OwnWorkers
from schemas.errors import ElBeamError

RUNNER = "runners.spark.SparkRunner"
ADDRESS, POOL = "SPARK", "WORKERS"  # environment variables, as `el stack env` sets them

# What Spark's job server knows beside Beam's own options; it would pass over others in silence.
OPTIONS = (
    "app_name bundle_size cache_disabled enable_spark_metric_sinks environment_expiration_millis "
    "load_balance_bundles prefer_group_by_key_to_handle_huge_values storage_level"
).split()


class SparkAway(ElBeamError):
    """Nobody answers at the master's address; the message is for people."""

    transient = True


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


class SparkRunner(OwnWorkers, PortableRunner):
    """Gives pipelines to a job server of ours, one for each master, for as long as we live."""

    def default_job_server(self, options: PipelineOptions) -> JobServer:
        server = options.view_as(JobServerOptions)
        return _job_server(
            options.view_as(SparkRunnerOptions).spark_master_url,
            int(options.view_as(PortableOptions).sdk_worker_parallelism),
            server.job_server_java_launcher,
            tuple(server.job_server_jvm_properties),
            server.job_port,
        )


class _JobServer(LaunchedJobServer):
    """A JVM that runs jobs on a Spark master, or in itself."""

    def __init__(
        self, master: str, slots: int, java: str, properties: tuple[str, ...], port: int = 0
    ) -> None:
        super().__init__(port)
        self._master, self._slots, self._java, self._properties = master, slots, java, properties

    def start(self) -> Any:
        """A client of it. It is launched if it doesn't run. Raises SparkAway, RuntimeError."""
        scheme, _, addresses = self._master.partition("://")
        # One of them leads. Spark itself would try for a minute, and then say something else.
        if scheme == "spark" and not any(map(answers, addresses.split(","))):
            raise SparkAway(f"no Spark master answers at {self._master}")
        return super().start()

    def command(self, folder: str, port: int) -> list[str]:
        Path(folder, "log4j2.properties").write_text(log4j("error"))
        # Its class comes before Beam's of the same name.
        beam = f"{before_beams()}:{job_server_lib()}/*"
        settings = {
            "log4j2.configurationFile": f"file:{folder}/log4j2.properties",
            "java.io.tmpdir": folder,
            "spark.local.dir": folder,
            "spark.ui.enabled": "false",
            "spark.driver.host": LOOPBACK,
            "spark.driver.bindAddress": LOOPBACK,
            "spark.cores.max": self._slots,
            "spark.default.parallelism": self._slots,  # else what has registered by then
            "spark.executor.extraClassPath": beam,
            "spark.executor.extraJavaOptions": " ".join(QUICK),
        }
        return [
            *(self._java, "-Xmx1g", *QUICK, *SPARK_OPENS),
            *(f"-D{name}={value}" for name, value in settings.items()),
            *self._properties,
            *("-cp", f"{beam}:{spark_lib()}/*"),
            "org.apache.beam.runners.spark.SparkJobServerDriver",
            f"--spark-master-url={self._master}",
            f"--artifacts-dir={folder}/artifacts",
            *(f"--job-host={LOOPBACK}", f"--job-port={port}"),
            *("--artifact-port=0", "--expansion-port=0"),
        ]


@functools.cache
def _job_server(*how: Any) -> _JobServer:
    server = _JobServer(*how)
    at_end(server.stop)
    return server
