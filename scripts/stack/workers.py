"""Workers: the Python worker pool that Flink's TaskManager asks for its workers."""

from __future__ import annotations

import sys
from pathlib import Path

from stack.component import LOOPBACK, ROOT, Component, listens
from stack.process import ServerProcess


class Workers(Component):
    """A pool with the code of this checkout."""

    name = "workers"
    ports = ("pool",)

    def servers(self, folder: Path) -> list[ServerProcess]:
        command = [sys.executable, "-m", "runners.worker_pool", "--port", str(self.port["pool"])]
        environment = {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        return [ServerProcess("workers", folder, command, lambda: listens(self.port["pool"]),
                              environment)]  # fmt: skip

    def endpoint(self) -> str:
        return f"{LOOPBACK}:{self.port['pool']}"
