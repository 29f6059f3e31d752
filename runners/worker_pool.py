"""The Python worker pool: starts a worker process for each of a runner's slots.

    python -m runners.worker_pool --port 50000

It does what Beam's own pool does, and also listens on loopback alone by default, starts
the very Python that runs it, lets workers log where it logs, and says which code it has, so that a
job of another version is refused before it is submitted.
"""

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import apache_beam
import grpc
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc

from runners.addresses import LOOPBACK, answers
from runners.encoding import in_utf8, open_streams
from runners.forkserver import Fork
from runners.memory import collect_seldom, share_arenas
from runners.orphans import environment
from schemas import VERSION

_ROOT = Path(__file__).resolve().parents[1]
_LOOK_EVERY = 1.0  # seconds
_CODE = ("schemas", "transforms", "runners", "el_beam")
_ABOUT = "/el_beam.WorkerPool/About"
_WORKER = "import sys; from runners.worker_pool import work; work(*sys.argv[1:])"
_GRACE = 10.0  # seconds that a worker has to end
_PAUSE = 0.5  # seconds until a worker that died is started again


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


def work(control: str, name: str, begun: int | str) -> None:
    """Be a worker of the runner at `control`; `begun` is a descriptor that learns of it."""
    from apache_beam.runners.worker.sdk_worker import SdkHarness

    from runners.beam_private import end_bundles_at_once

    collect_seldom()
    end_bundles_at_once()
    harness = SdkHarness(control, worker_id=name)
    os.write(int(begun), b".")
    harness.run()


class _Worker:
    """A worker process. It is started again where it dies before it has found its runner, which
    would wait for it for ever."""

    def __init__(self, control: str, name: str, *, tied: bool) -> None:
        self.control, self._name, self._tied = control, name, tied
        self._stopped = False
        self._lock = threading.Lock()
        begun = self._start()
        threading.Thread(target=self._bring_up, args=(begun,), daemon=True).start()

    def _start(self) -> int:
        """Returns a pipe that says when it has begun, or has died before."""
        self.process: subprocess.Popen[bytes] | Fork
        reading, writing = os.pipe()
        try:
            if self._tied:
                self.process = Fork(work, self.control, self._name, descriptors=(writing,))
            else:
                call = [sys.executable, "-c", _WORKER, self.control, self._name, str(writing)]
                self.process = subprocess.Popen(
                    call, pass_fds=[writing], env=environment(tied=False)
                )
        except OSError:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        return reading

    def _bring_up(self, begun: int) -> None:
        while True:
            with open(begun, "rb", buffering=0) as pipe:
                if pipe.read(1):
                    return
            self.process.wait()
            time.sleep(_PAUSE)
            with self._lock:
                if self._stopped or not answers(self.control, 5):
                    return
                begun = self._start()

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def ask_to_end(self) -> None:
        """Returns at once."""
        with self._lock:
            self._stopped = True
        self.process.terminate()

    def end(self) -> None:
        """By force where it doesn't by itself."""
        self.ask_to_end()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(_GRACE)
        self.process.kill()
        self.process.wait()


class WorkerPool(beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolServicer):
    """Starts and ends worker processes for runners."""

    def __init__(self, *, tied: bool = False) -> None:
        """Workers that are `tied` end as soon as this process does, however it ends. By themselves
        they end with their runner, but one that has just begun looks for it for a minute."""
        self._tied = tied
        # Each of a cluster's JVMs has a worker of the same name.
        self._workers: dict[str, list[_Worker]] = {}
        self._lock = threading.Lock()

    def StartWorker(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Start a worker process; it ends by itself when its runner has gone."""
        try:
            worker = _Worker(request.control_endpoint.url, request.worker_id, tied=self._tied)
        except OSError as error:
            return beam_fn_api_pb2.StartWorkerResponse(error=str(error))
        with self._lock:
            self._reap()
            self._workers.setdefault(request.worker_id, []).append(worker)
        return beam_fn_api_pb2.StartWorkerResponse()

    def StopWorker(self, request: Any, context: Any) -> Any:  # noqa: N802
        """End a worker process. Where several have this name it isn't known whose is meant: it
        ends by itself, as its runner lets go of it."""
        with self._lock:
            named = self._workers.get(request.worker_id, [])
            worker = named.pop() if len(named) == 1 else None
            self._reap()
        if worker:
            worker.end()
        return beam_fn_api_pb2.StopWorkerResponse()

    def close(self) -> None:
        """End all workers."""
        with self._lock:
            workers = [worker for named in self._workers.values() for worker in named]
            self._workers = {}
        for worker in workers:
            worker.ask_to_end()
        for worker in workers:
            worker.end()

    def _reap(self) -> None:
        """Forget those that have ended with their runners."""
        for name, named in [*self._workers.items()]:
            left = [each for each in named if each.is_alive or answers(each.control, 5)]
            if left:
                self._workers[name] = left
            else:
                del self._workers[name]


def serve(host: str, port: int) -> None:
    """Serve until a signal to end. Raises OSError where the port can't be had."""
    options = [("grpc.http2.max_pings_without_data", 0), ("grpc.http2.max_ping_strikes", 0),
               ("grpc.so_reuseport", 0)]  # fmt: skip
    share_arenas()
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
    while not ended.wait(_LOOK_EVERY):
        pass  # a signal that has reached one of gRPC's threads is heard when this one wakes
    server.stop(1).wait()
    pool.close()


def main() -> int:
    """Run a pool in the foreground."""
    parser = argparse.ArgumentParser(
        prog="python -m runners.worker_pool",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default=LOOPBACK, help=f"where to listen (default {LOOPBACK})")
    parser.add_argument("--port", type=int, default=50000, help="default 50000")
    args = parser.parse_args()
    try:
        serve(args.host, args.port)
    except OSError as error:
        print(f"worker pool: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    in_utf8()
    open_streams()
    sys.exit(main())
