"""A process that a test starts, and that doesn't outlive a test that fails."""

import subprocess
from types import TracebackType


class Started(subprocess.Popen[str]):
    """A process with text for streams. A `with` block waits for its end, unless the block fails:
    then the process is killed, so that the failure is reported at once."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind:
            self.kill()
        super().__exit__(kind, value, trace)
