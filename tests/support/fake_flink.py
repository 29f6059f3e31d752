"""A Flink cluster that has jobs, as its REST interface shows them, and runs none of them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from runners.flink_rest import FlinkCluster


@dataclass
class FakeFlink:
    """What the cluster has."""

    address: str
    names: dict[str, str] = field(default_factory=dict)  # of jobs, by their ids
    states: dict[str, str] = field(default_factory=dict)
    started: dict[str, float] = field(default_factory=dict)  # unix seconds
    failure: str = ""  # why jobs have failed, as Java tells it
    hangs: bool = False  # a job that is cancelled never ends
    dies: bool = False  # before it has said all

    @property
    def cluster(self) -> FlinkCluster:
        return FlinkCluster(self.address)

    def begin(self, id_: str, name: str, state: str = "RUNNING", started: float = 0.0) -> None:
        """A job has come, or runs now."""
        self.names[id_], self.states[id_], self.started[id_] = name, state, started

    def overview(self) -> dict[str, Any]:
        return {"jobs": [
            {"jid": each, "name": name, "state": self.states[each],
             "start-time": self.started[each] * 1000,
             "tasks": {"running": int(self.states[each] == "RUNNING"), "total": 1}}
            for each, name in self.names.items()
        ]}  # fmt: skip

    def cancel(self, id_: str) -> None:
        self.states[id_] = "CANCELLING" if self.hangs else "CANCELED"


@contextmanager
def fake_flink() -> Iterator[FakeFlink]:
    """One that answers while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = {"root-exception": flink.failure} if "/exceptions" in self.path else None
            self._answer(asked or flink.overview())

        def do_PATCH(self) -> None:
            flink.cancel(self.path.partition("?")[0].rpartition("/")[2])
            self._answer({})

        def _answer(self, content: dict[str, Any]) -> None:
            answer = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer) + flink.dies))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        flink = FakeFlink(f"127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield flink
        finally:
            server.shutdown()
