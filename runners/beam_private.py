"""All that we use of Beam's private members, and of what it promises nothing about: here alone.

`SOURCES` names the code that was read for it. tests/unit/runners/test_beam_private.py fails where
an upgrade of Beam has changed it; docs/decisions/006-private-members.md says what to do then.
"""

from typing import Any

from apache_beam.portability.api import beam_fn_api_pb2
from apache_beam.runners.portability.flink_runner import FlinkJarJobServer
from apache_beam.runners.portability.fn_api_runner import worker_handlers
from apache_beam.runners.portability.fn_api_runner.worker_handlers import (
    BeamFnControlServicer,
    SubprocessSdkWorkerHandler,
)
from apache_beam.runners.worker.statesampler import StateSampler

MAKES_SERVERS = worker_handlers
"""The module whose name `grpc` gives the direct runner its servers: see loopback.py."""

_SAMPLE_EVERY = 5  # milliseconds
_HANDLERS = "apache_beam.runners.portability.fn_api_runner.worker_handlers"
_PORTABLE = "apache_beam.runners.portability"
_RUNNER = f"{_PORTABLE}.portable_runner:PortableRunner"
SOURCES = {
    f"{_HANDLERS}:BeamFnControlServicer": "e3835ef33c47",
    f"{_HANDLERS}:ControlConnection": "675e4ef5f09a",
    f"{_HANDLERS}:GrpcServer.__init__": "a7ad417327e2",
    f"{_HANDLERS}:GrpcWorkerHandler": "9d917df6b2a1",
    f"{_HANDLERS}:SubprocessSdkWorkerHandler": "ce781255b8cb",
    f"{_HANDLERS}:WorkerHandlerManager": "a9ef79e23905",
    f"{_PORTABLE}.fn_api_runner.fn_runner:FnApiRunner.run_pipeline": "57b095d879a6",
    f"{_PORTABLE}.flink_runner:FlinkJarJobServer": "6f5327016803",
    f"{_PORTABLE}.flink_runner:FlinkRunner.default_job_server": "6f2b690a8cd0",
    f"{_PORTABLE}.job_server:JavaJarJobServer": "076b5b27451a",
    f"{_RUNNER}.create_job_service": "5d304c826027",
    f"{_RUNNER}.start_and_replace_loopback_environments": "08bd4bf8db7a",
    "apache_beam.runners.worker.bundle_processor:BundleProcessor.__init__": "cb846221fab8",
    "apache_beam.runners.worker.sdk_worker:SdkHarness.__init__": "e554abf2041c",
    "apache_beam.runners.worker.sdk_worker_main:main": "fea9481fce50",
    "apache_beam.runners.worker.statesampler:StateSampler.__init__": "f0453e08ecc9",
}
"""module:name of code of Beam's -> the beginning of the SHA-256 of its source."""


def workers_of_job(handler: SubprocessSdkWorkerHandler) -> list[Any]:
    """The handlers of all workers of the job that a handler belongs to."""
    return [*handler.control_handler._worker_manager._workers_by_id.values()]


def end_conversation(handler: SubprocessSdkWorkerHandler) -> None:
    """Let a worker that connects from now on hear that the job is over."""
    handler.control_conn.push(BeamFnControlServicer._DONE_MARKER)


def answer_with_error(handler: SubprocessSdkWorkerHandler, error: str) -> None:
    """Answer all that a worker has been asked and hasn't answered."""
    for question, future in [*handler.control_conn._futures_by_id.items()]:
        # An answer, not an `abort`: who waits for a bundle's data looks for nothing else.
        future.set(beam_fn_api_pb2.InstructionResponse(instruction_id=question, error=error))


def place(server: FlinkJarJobServer, folder: str, port: int) -> None:
    """Let a job server listen on a port, and keep its artifacts in `folder` by default."""
    server._job_port = port
    server._artifacts_dir = server._artifacts_dir or f"{folder}/artifacts"


def end_bundles_at_once() -> None:
    """Let no bundle of this worker wait at its end for Beam's sampler, which sleeps for longer the
    longer the bundle is: docs/decisions/012-sampling-period.md."""
    StateSampler.__init__.__defaults__ = (_SAMPLE_EVERY,)  # of its one optional argument
