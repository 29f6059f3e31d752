"""Workers: the Python worker pool that Flink's TaskManager asks for its workers."""

import sys
from pathlib import Path

from runners.local_stack.component import LOOPBACK, Component, listens
from runners.local_stack.process import ServerProcess

_INSTALLED = Path(__file__).resolve().parents[2]


class Workers(Component):
    """A pool with the same code as this process."""

    name = "workers"
    ports = ("pool",)

    def servers(self, folder: Path) -> list[ServerProcess]:
        command = [sys.executable, "-m", "runners.worker_pool", "--port", str(self.port["pool"])]
        environment = {"PYTHONPATH": str(_INSTALLED), "PYTHONUNBUFFERED": "1"}
        return [ServerProcess("workers", folder, command, lambda: listens(self.port["pool"]),
                              environment)]  # fmt: skip

    def endpoint(self) -> str:
        return f"{LOOPBACK}:{self.port['pool']}"
