"""Flink: the same graph, bounded or for as long as it is let run."""

import argparse
import os
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import grpc
from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    JobServerOptions,
    PipelineOptions,
)
from apache_beam.runners.portability.flink_runner import FlinkJarJobServer, FlinkRunner
from apache_beam.runners.portability.job_server import JobServer

from runners.beam_private import place
from runners.flink_rest import FlinkCluster, FlinkError, FlinkJob
from runners.jars import jar
from runners.job_server import QUICK, LaunchedJobServer, at_end, java_settings
from runners.local_pool import OwnWorkers

RUNNER = "runners.flink.KeptFlinkRunner"
_LOCAL = Path(__file__).parent / "flink_local"  # settings of a cluster inside the job server
ADDRESS, POOL = "FLINK", "WORKERS"  # environment variables, as `el stack env` sets them
SETTLES = 5.0  # seconds until a job has come to the cluster, or never will, if its submitter dies
CHECKPOINT_EVERY = 10_000  # milliseconds: what is done twice, at most, after a kill

# What Flink's job server knows beside Beam's own options; it would pass over others in silence.
OPTIONS = (
    "allow_non_restored_state attached_mode auto_balance_write_files_sharding_enabled "
    "auto_watermark_interval checkpoint_timeout_millis checkpointing_interval "
    "checkpointing_mode disable_metrics enable_stable_input_drain "
    "execution_mode_for_batch execution_retry_delay externalized_checkpoints_enabled "
    "fail_on_checkpointing_errors faster_copy file_input_split_max_size_m_b "
    "finish_bundle_before_checkpointing flink_conf_dir force_slot_sharing_group "
    "force_unaligned_checkpoint_enabled job_check_interval_in_secs latency_tracking_interval "
    "max_bundle_size max_bundle_time_mills max_parallelism min_pause_between_checkpoints "
    "num_concurrent_checkpoints number_of_execution_retries object_reuse operator_chaining "
    "parallelism re_iterable_group_by_key_result report_checkpoint_duration "
    "retain_externalized_checkpoints_on_cancellation savepoint_path "
    "shutdown_sources_after_idle_ms state_backend state_backend_factory "
    "state_backend_storage_path unaligned_checkpoint_enabled use_data_stream_for_batch "
    "sdk_worker_parallelism environment_cache_millis load_balance_bundles"
).split()
_CONTINUOUS = {
    "streaming": True,
    "max_bundle_time_mills": 200,  # an event waits no longer for its bundle to fill
    "checkpointing_interval": CHECKPOINT_EVERY,
    # What was read before a checkpoint is in the topics before it is complete: its offsets,
    # committed then, promise that. By default Flink keeps the rest of a bundle for later.
    "finish_bundle_before_checkpointing": True,
    # Whatever dies, the job starts again from its last checkpoint, for ever. The cluster's own
    # settings may give up.
    "number_of_execution_retries": 2**31 - 1,
    "execution_retry_delay": 1000,
    # A job that is cancelled leaves its last checkpoint for --savepoint.
    "externalized_checkpoints_enabled": True,
    "retain_externalized_checkpoints_on_cancellation": True,
}


def options(
    workers: int,
    more: Sequence[str] = (),
    *,
    name: str = "",
    streaming: bool = False,
    savepoint: str | None = None,
) -> PipelineOptions:
    """Pipeline options for `workers` slots, each with a Python process of its own.

    `more` are options of Beam's and Flink's; they win, but for the job's name: it is `name`, if
    there is one, and what no other submission has, by which we find the job at the cluster
    (`submitted`). Raises JarMissing."""
    ours = {
        "flink_master": os.environ.get(ADDRESS, "[local]"),
        "flink_job_server_jar": jar("flink-job-server"),
        "parallelism": workers,
        "sdk_worker_parallelism": workers,
        # Elements: lines, and of a continuous job records in Java, batches of them in Python, where
        # time ends a bundle. 1000 lines halve the throughput, 20,000 add nothing.
        "max_bundle_size": 5000,
        "object_reuse": True,  # nothing of ours changes an element
    }
    if pool := os.environ.get(POOL):
        ours |= {"environment_type": "EXTERNAL", "environment_config": pool}
    else:
        ours |= {"environment_type": "LOOPBACK"}
    if cluster(more) is None:
        ours["flink_conf_dir"] = str(_LOCAL)
    if streaming:
        ours |= _CONTINUOUS
    if savepoint:
        ours["savepoint_path"] = savepoint
    given = {option.lstrip("-").partition("=")[0] for option in more}
    ours = {option: value for option, value in ours.items() if option not in given}
    name = f"{name or value_of(more, 'job_name') or 'el run'} {uuid.uuid4().hex}"
    return PipelineOptions([*(_flag(*each) for each in ours.items()), *more, f"--job_name={name}"])


def submitted(options: PipelineOptions) -> Callable[[FlinkJob], bool]:
    """Whether a job is the one that was submitted with these options."""
    name = str(options.get_all_options()["job_name"])
    return lambda job: f"{job.name} {job.submission}" == name


_servers: dict[str, LaunchedJobServer] = {}  # by master


def end_job_servers() -> None:
    """Whatever they still do, such as the jobs of a cluster inside one, ends with them."""
    for server in _servers.values():
        server.stop()


at_end(end_job_servers)


class KeptFlinkRunner(OwnWorkers, FlinkRunner):
    """Gives pipelines to one job server, which Beam would start anew for each."""

    def default_job_server(self, options: PipelineOptions) -> JobServer:
        flink = options.view_as(FlinkRunnerOptions)
        if flink.flink_submit_uber_jar:
            return super().default_job_server(options)
        flink.flink_master = self.add_http_scheme(flink.flink_master)
        if flink.flink_master not in _servers:
            _servers[flink.flink_master] = _JobServer(options)
        return _servers[flink.flink_master]


class _JobServer(LaunchedJobServer):
    """A JVM that hands jobs to a Flink cluster, or runs them in itself."""

    def __init__(self, options: PipelineOptions) -> None:
        super().__init__(options.view_as(JobServerOptions).job_port)
        self._options = options

    def command(self, folder: str, port: int) -> list[str]:
        server = FlinkJarJobServer(self._options)
        place(server, folder, port)
        (java, *rest), _ = server.subprocess_cmd_and_endpoint()
        master = self._options.view_as(FlinkRunnerOptions).flink_master
        quick = () if master.startswith("[") else QUICK  # a cluster does the work
        return [java, *quick, *java_settings(folder), *map(str, rest)]


def end_jobs(
    at: FlinkCluster, are: Callable[[FlinkJob], bool], *, seconds: float = 0.0,
    patience: float = 240.0,
) -> list[str]:  # fmt: skip
    """End the jobs that nobody waits for any more. One may come only now: it is looked for, for so
    many `seconds`. Returns the ids of those that were under way.

    Raises FlinkError, also where one hasn't ended after `patience` seconds."""
    end = time.monotonic() + seconds
    while not (found := [job for job in at.jobs() if are(job)]) and time.monotonic() < end:
        time.sleep(0.2)
    left = [job for job in found if not job.ended]
    for job in left:
        at.end(job, patience)
    return [job.id for job in left]


def cancel(more: Sequence[str], beginning: str, patience: float = 240.0) -> list[str]:
    """As `end_jobs`, of the cluster that a job with these options runs on, and of the jobs whose
    names begin so."""
    at = cluster(more)
    if at is None:
        return []
    return end_jobs(at, lambda job: job.name.startswith(beginning), patience=patience)


_awaited: list[PipelineOptions] = []  # of bounded jobs on clusters, while somebody waits for them


@contextmanager
def awaited(options: PipelineOptions) -> Iterator[None]:
    """While the block runs, this process waits for a bounded job: `abandon` ends it."""
    if not options.view_as(FlinkRunnerOptions).flink_master.startswith("["):
        _awaited.append(options)
    try:
        yield
    except KeyboardInterrupt:
        abandon()
        raise
    finally:
        with suppress(ValueError):
            _awaited.remove(options)


def abandon(tell: Callable[[str], object] = lambda _: None) -> str:
    """End what clusters do of the jobs that this process waits for: it ends now. Returns what the
    message adds of that. It may take a while, so `tell` says first that it begins."""
    if not _awaited:
        return ""
    tell("interrupted; what Flink has of the job is cancelled. Ctrl-C again: at once")
    for server in _servers.values():
        server.kill()  # what comes to Flink from now on was on its way
    also = ""
    while _awaited:
        also += end_failed(_awaited.pop())
    return also


def end_failed(options: PipelineOptions, error: Exception | None = None) -> str:
    """End what a cluster still does of a bounded job of ours whose run has ended with an error, as
    when the job server dies; without one it was interrupted. Returns what is to be added to the
    error."""
    master = options.view_as(FlinkRunnerOptions).flink_master
    if master.startswith("["):
        return ""  # it has died with the job server
    seconds = SETTLES if error is None or isinstance(error, grpc.RpcError) else 0.0
    try:
        ended = end_jobs(FlinkCluster(master), submitted(options), seconds=seconds)
    except FlinkError as its:
        name = options.get_all_options()["job_name"]
        return f"; look whether Flink still has its job ({name}): {its}"
    return f"; the job that Flink still had ({', '.join(ended)}) was cancelled" if ended else ""


def _flag(name: str, value: object) -> str:
    return f"--{name}" if value is True else f"--{name}={value}"


def value_of(options: Sequence[str], name: str) -> str | None:
    """What `--name=value` or `--name value` gives, the last one; None without it."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument(f"--{name}", nargs="?", const="", dest="value")
    value: str | None = parser.parse_known_args(options)[0].value
    return value


def cluster(more: Sequence[str] = ()) -> FlinkCluster | None:
    """The cluster that a job with these options runs on; None for one inside the job server."""
    master = value_of(more, "flink_master") or os.environ.get(ADDRESS, "[local]")
    return None if master.startswith("[") else FlinkCluster(master)


def pool(more: Sequence[str] = ()) -> str | None:
    """host:port of the worker pool; None where workers are part of the submitting process."""
    kind = value_of(more, "environment_type")
    if kind is not None and kind != "EXTERNAL":
        return None
    return value_of(more, "environment_config") or os.environ.get(POOL)
