"""Why a job has failed: the sentence for people in what a runner reports."""

import re
import traceback

from schemas.errors import ElBeamError, ErrorNote, errors_in

AGAIN = "start the same command again"
_KNOWN = {
    "BrokenPipeError": "the reader of our output has gone",
    "Channel closed prematurely": f"a worker process has died (killed, or out of memory); {AGAIN}",
    "a worker process has died": f"a worker process has died (killed, or out of memory); {AGAIN}",
    "_InactiveRpcError": f"the job server or a worker has died; {AGAIN}",
    "_MultiThreadedRendezvous": f"the job server or a worker has died; {AGAIN}",
    "CANCELLED": f"the job server or a worker has died; {AGAIN}",
}
_ANY = re.compile(r"^(?P<message>[A-Za-z_][\w.]*(?:: .*?)?)(?: \[while running .*)?$", re.MULTILINE)


class JobFailed(ElBeamError):
    """A job that ended before its time. `str()` is a sentence for people, `details` are for us;
    it is `transient` as the error that ended it. A job that has begun fails, whatever it met: the
    call was right."""

    def __init__(
        self, message: str, details: str = "", like: ElBeamError | ErrorNote | None = None
    ) -> None:
        """`like` is the error that ended the job."""
        if like:
            self.transient = like.transient
        super().__init__(message)
        self.details = details if "unexpected: " in message else ""


class NotReady(JobFailed):
    """A sink that can't be written at all: what is read is not at fault."""


def job_failed(error: Exception, also: str = "") -> JobFailed:
    """What an exception says that ended a job: a runner's own, which quotes the traceback of a
    worker, or one of ours. `also` is said besides."""
    if isinstance(error, JobFailed):
        return JobFailed(f"{error}{also}", error.details, like=error) if also else error
    details = "".join(traceback.format_exception(error))
    report = f"{error}\n{details}"
    return JobFailed(f"{describe_error(report)}{also}", details, like=_last_error(report))


def describe_error(report: str) -> str:
    """The sentence, in a runner's long report of a failure, that says what is wrong."""
    if ours := _last_error(report):  # which was raised for those before it
        return ours.message
    for sign, sentence in _KNOWN.items():
        if sign in report:
            return sentence
    lines = _ANY.findall(report)
    return f"unexpected: {lines[-1] if lines else report.splitlines()[-1]}"


def root_cause(report: str) -> str:
    """The last cause in a Java stack trace, on one line; or the error of ours that it quotes."""
    if ours := _last_error(report):
        return ours.message
    causes = [line for line in report.splitlines() if line.startswith("Caused by: ")]
    first = report.splitlines()[:1] or ["unknown cause; see the JobManager's log"]
    return (causes or first)[-1].removeprefix("Caused by: ")[:400]


def _last_error(report: str) -> ErrorNote | None:
    notes = [*errors_in(report)]
    return notes[-1] if notes else None
