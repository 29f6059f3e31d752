"""This machine: one process, or several."""

import os
import threading
from collections.abc import Sequence

from apache_beam import Pipeline
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability import python_urns
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.portability.fn_api_runner.fn_runner import RunnerResult
from apache_beam.runners.portability.fn_api_runner.worker_handlers import (
    SubprocessSdkWorkerHandler,
    WorkerHandler,
)
from apache_beam.runners.worker import sdk_worker_main
from google.protobuf.json_format import MessageToJson  # type: ignore[import-untyped]  # it has no types

from runners.beam_private import MAKES_SERVERS, answer_with_error, end_conversation, workers_of_job
from runners.forkserver import Fork
from runners.loopback import kept_in

RUNNER = "runners.direct.LocalRunner"  # Beam's `DirectRunner` tries others
_DEAD = "a worker process has died"
_GRACE = 5  # seconds that a worker has to end by itself once its job is over


def options(workers: int, more: Sequence[str] = ()) -> PipelineOptions:
    """Pipeline options for one in-process worker, or for `workers` processes."""
    mode = "in_memory" if workers == 1 else "multi_processing"
    return PipelineOptions(
        [f"--direct_num_workers={workers}", f"--direct_running_mode={mode}", *more]
    )


class LocalRunner(FnApiRunner):
    """Beam's own, whose servers nobody else reaches."""

    def run_pipeline(self, pipeline: Pipeline, options: PipelineOptions) -> RunnerResult:
        with kept_in(MAKES_SERVERS):
            return super().run_pipeline(pipeline, options)


@WorkerHandler.register_environment(python_urns.SUBPROCESS_SDK, bytes)
class _WorkerHandler(SubprocessSdkWorkerHandler):
    """A worker process, forked, whose death ends the job, and that the job's end ends. Beam's own
    is a new interpreter. It waits for ever for the answers of one that dies before its first
    question came, and for the end of one that connects only when the job is over."""

    _process: Fork | None = None  # Beam counts on us before we have started it

    def start_worker(self) -> None:
        """Start the process, and watch it until the job lets go of it."""
        self._let_go = threading.Event()
        options = self.provision_info.provision_info.pipeline_options
        self._process = Fork(_work, {
            "WORKER_ID": self.worker_id,
            "PIPELINE_OPTIONS": MessageToJson(options),
            "CONTROL_API_SERVICE_DESCRIPTOR": f'url: "{self.control_address}"',
        })  # fmt: skip
        threading.Thread(target=self._watch, daemon=True).start()

    def stop_worker(self) -> None:
        """Called at the job's end. A process that doesn't end by itself is killed."""
        self._let_go.set()
        end_conversation(self)  # for one that connects now
        if self._process:
            self._process.wait(_GRACE)
            self._process.kill()

    def _watch(self) -> None:
        assert self._process
        self._process.wait()
        if not self._let_go.is_set():  # the others' work is lost, and the job waits for all of them
            for each in workers_of_job(self):
                if each._process:
                    each._process.kill()
        while not self._let_go.wait(0.2):  # questions may still be asked
            answer_with_error(self, _DEAD)


def _work(environment: dict[str, str]) -> None:
    os.environ.update(environment)
    sdk_worker_main.main([])
