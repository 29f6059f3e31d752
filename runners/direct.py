"""This machine: one process, or several."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress

import psutil
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability import python_urns
from apache_beam.portability.api import beam_fn_api_pb2
from apache_beam.runners.portability.fn_api_runner.worker_handlers import (
    BeamFnControlServicer,
    SubprocessSdkWorkerHandler,
    WorkerHandler,
)

from runners.loopback import keep_in

RUNNER = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"  # `DirectRunner` tries others
_DEAD = "a worker process has died"
_GRACE = 5  # seconds that a worker has to end by itself once its job is over


def options(workers: int, more: Sequence[str] = ()) -> PipelineOptions:
    """Pipeline options for one in-process worker, or for `workers` processes."""
    keep_in()
    mode = "in_memory" if workers == 1 else "multi_processing"
    return PipelineOptions(
        [f"--direct_num_workers={workers}", f"--direct_running_mode={mode}", *more]
    )


@WorkerHandler.register_environment(python_urns.SUBPROCESS_SDK, bytes)
class _WorkerHandler(SubprocessSdkWorkerHandler):
    """A worker process whose death ends the job, and that the job's end ends. Beam's own waits for
    ever for the answers of one that dies before its first question came, and for the end of one
    that connects only when the job is over."""

    _worker_command_line: bytes

    def start_worker(self) -> None:
        """Start the process, and watch it until the job lets go of it."""
        self._let_go = threading.Event()
        # In the shell's place, not beside it: a kill of the one would leave the other. Ctrl-C at
        # our terminal is for us.
        self._worker_command_line = b"trap '' INT; exec " + self._worker_command_line
        super().start_worker()
        threading.Thread(target=self._watch, daemon=True).start()

    def stop_worker(self) -> None:
        """Called at the job's end. A process that doesn't end by itself is killed."""
        self._let_go.set()
        self.control_conn.push(BeamFnControlServicer._DONE_MARKER)  # for one that connects now
        self.worker_thread.join(_GRACE)
        self._kill()
        super().stop_worker()

    def _kill(self) -> None:
        for process in psutil.Process().children() if self.worker_thread.is_alive() else ():
            with suppress(psutil.Error):  # it has just ended
                if process.environ().get("WORKER_ID") == self.worker_id:
                    process.kill()

    def _watch(self) -> None:
        self.worker_thread.join()
        if not self._let_go.is_set():  # the others' work is lost, and the job waits for all of them
            for each in [*self.control_handler._worker_manager._workers_by_id.values()]:
                each._kill()
        while not self._let_go.wait(0.2):  # questions may still be asked
            for question, future in [*self.control_conn._futures_by_id.items()]:
                # An answer, not an `abort`: who waits for a bundle's data looks for nothing else.
                answer = beam_fn_api_pb2.InstructionResponse(instruction_id=question, error=_DEAD)
                future.set(answer)
