"""Workers: the Python worker pool that Flink's TaskManager asks for its workers."""

import sys
from pathlib import Path

from runners.addresses import answers
from runners.local_stack.component import Component, ServerProcess

_INSTALLED = Path(__file__).resolve().parents[2]


class Workers(Component):
    """A pool with the same code as this process."""

    name = "workers"
    ports = ("pool",)

    def servers(self) -> list[ServerProcess]:
        command = [sys.executable, "-m", "runners.worker_pool", "--port", str(self.port["pool"])]
        environment = {"PYTHONPATH": str(_INSTALLED), "PYTHONUNBUFFERED": "1"}
        return [ServerProcess("workers", self.stack, command, self._answers, environment)]

    def _answers(self) -> bool:
        return answers(self.endpoint())
