"""The Python worker pool: starts a worker process for each of a runner's slots.

    python -m runners.worker_pool --port 50000

It does what Beam's own pool does, and also listens on loopback alone unless told otherwise, starts
the very Python that runs it, lets workers log where it logs, and says which code it has, so that a
job of another version is refused before it is submitted.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import apache_beam
import grpc
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc

from runners.malloc import few_arenas
from schemas import VERSION

_ROOT = Path(__file__).resolve().parents[1]
_CODE = ("schemas", "transforms", "runners", "el_beam")
_ABOUT = "/el_beam.WorkerPool/About"
_WORKER = """\
import os, sys, threading
def end_with_the_pool():
    sys.stdin.buffer.read()
    os._exit(1)
if sys.argv[3:]:
    threading.Thread(target=end_with_the_pool, daemon=True).start()
from apache_beam.runners.worker.sdk_worker import SdkHarness
SdkHarness(sys.argv[1], worker_id=sys.argv[2]).run()
"""
_GRACE = 10.0  # seconds that a worker has to end


def about() -> dict[str, str]:
    """What this installation is: a pool and those who submit to it must say the same.

    Read anew each time, as it is by the workers that a pool starts."""
    return {
        "el_beam": f"{VERSION} ({_digest()})",
        "apache-beam": apache_beam.__version__,
        "python": ".".join(map(str, sys.version_info[:2])),
    }


def _digest() -> str:
    """Of the code that runs in workers."""
    found = hashlib.sha256()
    for package in _CODE:
        for path in sorted((_ROOT / package).rglob("*.py")):
            found.update(path.read_bytes())
    return found.hexdigest()[:12]


def ask(address: str, timeout: float = 5.0) -> dict[str, str] | None:
    """What the pool at host:port says it is; None for a pool of Beam's own, which can't say.

    Raises OSError where no pool answers within `timeout` seconds."""
    with grpc.insecure_channel(address) as channel:
        call: Any = channel.unary_unary(_ABOUT)
        try:
            return dict(json.loads(call(b"", timeout=timeout)))
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNIMPLEMENTED:
                return None
            raise OSError(f"no worker pool answers at {address}") from error


class _AboutHandler(grpc.GenericRpcHandler):
    def service(self, details: Any) -> Any:
        if details.method != _ABOUT:
            return None
        return grpc.unary_unary_rpc_method_handler(lambda *_: json.dumps(about()).encode())


class WorkerPool(beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolServicer):
    def __init__(self, *, tied: bool = False) -> None:
        """Workers that are `tied` end as soon as this process does, however it ends. By themselves
        they end with their runner, but one that has just begun looks for it for a minute."""
        self._tied = tied
        self._workers: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()

    def StartWorker(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Start a worker process; it ends by itself when its runner has gone."""
        control = request.control_endpoint.url
        try:
            worker = subprocess.Popen(
                [sys.executable, "-c", _WORKER, control, request.worker_id, *["tied"] * self._tied],
                stdin=subprocess.PIPE if self._tied else None,  # it is closed when we are gone
            )
        except OSError as error:
            return beam_fn_api_pb2.StartWorkerResponse(error=str(error))
        with self._lock:
            self._reap()
            self._workers[request.worker_id] = worker
        return beam_fn_api_pb2.StartWorkerResponse()

    def StopWorker(self, request: Any, context: Any) -> Any:  # noqa: N802
        """End a worker process, by force where it doesn't."""
        with self._lock:
            worker = self._workers.pop(request.worker_id, None)
        if worker:
            _end(worker)
        return beam_fn_api_pb2.StopWorkerResponse()

    def close(self) -> None:
        """End all workers."""
        with self._lock:
            workers, self._workers = list(self._workers.values()), {}
        for worker in workers:
            worker.terminate()
        for worker in workers:
            _end(worker)

    def _reap(self) -> None:
        for name in [name for name, worker in self._workers.items() if worker.poll() is not None]:
            del self._workers[name]


def _end(worker: subprocess.Popen[bytes]) -> None:
    worker.terminate()
    try:
        worker.wait(_GRACE)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()


def serve(host: str, port: int) -> None:
    """Serve until a signal to end. Raises OSError where the port can't be had."""
    options = [("grpc.http2.max_pings_without_data", 0), ("grpc.http2.max_ping_strikes", 0),
               ("grpc.so_reuseport", 0)]  # fmt: skip
    few_arenas()
    server = grpc.server(ThreadPoolExecutor(16), [_AboutHandler()], options=options)
    pool = WorkerPool()
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(pool, server)
    try:
        server.add_insecure_port(f"{host}:{port}")
    except RuntimeError as error:
        raise OSError(f"cannot listen on {host}:{port}: {error}") from error
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    server.start()
    print(f"worker pool on {host}:{port}: {about()}", flush=True)
    ended.wait()
    server.stop(1)
    pool.close()


def main() -> int:
    """Run a pool in the foreground."""
    parser = argparse.ArgumentParser(
        prog="python -m runners.worker_pool",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=50000, help="default 50000")
    args = parser.parse_args()
    os.environ["PYTHONWARNINGS"] = "ignore"
    try:
        serve(args.host, args.port)
    except OSError as error:
        print(f"worker pool: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
