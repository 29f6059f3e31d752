"""This machine: one process, or several."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability import python_urns
from apache_beam.portability.api import beam_fn_api_pb2
from apache_beam.runners.portability.fn_api_runner.worker_handlers import (
    SubprocessSdkWorkerHandler,
    WorkerHandler,
)

from runners.loopback import keep_in

RUNNER = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"  # `DirectRunner` tries others
_DEAD = "a worker process has died"


def options(workers: int, more: Sequence[str] = ()) -> PipelineOptions:
    """Pipeline options for one in-process worker, or for `workers` processes."""
    keep_in()
    mode = "in_memory" if workers == 1 else "multi_processing"
    return PipelineOptions(
        [f"--direct_num_workers={workers}", f"--direct_running_mode={mode}", *more]
    )


@WorkerHandler.register_environment(python_urns.SUBPROCESS_SDK, bytes)
class _WorkerHandler(SubprocessSdkWorkerHandler):
    """A worker process whose death ends the job. Beam's own waits for ever for the answers of one
    that dies before its first question came."""

    def start_worker(self) -> None:
        """Start the process, and watch it until the job lets go of it."""
        self._let_go = threading.Event()
        super().start_worker()
        threading.Thread(target=self._watch, daemon=True).start()

    def stop_worker(self) -> None:
        """Called at the job's end."""
        self._let_go.set()
        super().stop_worker()

    def _watch(self) -> None:
        self.worker_thread.join()
        while not self._let_go.wait(0.2):  # questions may still be asked
            for question, future in [*self.control_conn._futures_by_id.items()]:
                # An answer, not an `abort`: who waits for a bundle's data looks for nothing else.
                answer = beam_fn_api_pb2.InstructionResponse(instruction_id=question, error=_DEAD)
                future.set(answer)
