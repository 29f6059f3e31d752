"""The jobs of an import on a Flink cluster, which outlive the process that has submitted them."""

import hashlib

from el_beam.books.state.state import Attempt, State
from el_beam.job import Execution
from runners import flink
from transforms.io.files import filesystem


class ImportJobs:
    """The jobs of one import: no others are called so, be they of the same group, or of a copy of
    the state, which is elsewhere."""

    def __init__(self, execution: Execution, group: str, state: State) -> None:
        self._execution, self._group, self._state = execution, group, state

    def _begin_with(self) -> str:
        place = hashlib.sha256(filesystem.absolute(self._state.path).encode()).hexdigest()[:8]
        return f"el import {self._group} {self._state.id()[:16]}-{place} "

    def named(self, attempt: Attempt) -> Execution:
        """How the job of an attempt is run: the cluster knows it by its name from the first."""
        name = f"--job_name={self._begin_with()}{attempt}"
        return self._execution._replace(beam=(*self._execution.beam, name))

    def end_left(self) -> list[str]:
        """End the jobs of earlier attempts that are still under way, and return a sentence on each.
        The lease must be held. Raises FlinkError."""
        if self._execution.runner != "flink":
            return []
        ended = flink.cancel(self._execution.beam, self._begin_with())
        return [f"the job {each} of an earlier attempt was still under way, and has been cancelled"
                for each in ended]  # fmt: skip
