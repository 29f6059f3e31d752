"""Workers of the submitter's own: what LOOPBACK means here.

Beam would run them as threads, which share one interpreter, or have its pool start whatever
`python` is in the PATH and listen on all addresses.
"""

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability import python_urns
from apache_beam.portability.api import beam_fn_api_pb2_grpc
from apache_beam.transforms.environments import ExternalEnvironment

from runners.addresses import LOOPBACK
from runners.job_server import at_end
from runners.worker_pool import WorkerPool


class OwnWorkers:
    """Before Beam's portable runner among a runner's bases: its workers are processes of ours."""

    @staticmethod
    def start_and_replace_loopback_environments(
        pipeline: Any, _: PipelineOptions
    ) -> list[Callable[[], None]]:
        """Name our pool in a pipeline; nothing has to be cleaned up after it."""
        for environment in pipeline.components.environments.values():
            if environment.urn == python_urns.EMBEDDED_PYTHON_LOOPBACK:
                ours = ExternalEnvironment(_pool()).to_runner_api(None)
                environment.urn, environment.payload = ours.urn, ours.payload
        return []


@functools.cache
def _pool() -> str:
    """host:port of a worker pool in this process. Its workers are processes of their own."""
    server, pool = grpc.server(ThreadPoolExecutor(4)), WorkerPool(tied=True)
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(pool, server)
    port = server.add_insecure_port(f"{LOOPBACK}:0")
    server.start()

    def end() -> None:
        _pool.cache_clear()
        server.stop(0)
        pool.close()

    at_end(end)
    return f"{LOOPBACK}:{port}"
