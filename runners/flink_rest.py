"""FlinkCluster: a Flink cluster as its REST interface shows it."""

import json
import os
import re
import time
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any, NamedTuple

from schemas.errors import ElBeamError

_SUBMISSION = re.compile(r" ([0-9a-f]{32})\Z")  # at the end of a job's name
_TIMEOUT = 10.0  # seconds of one request
_PATIENCE = 600.0  # seconds that a savepoint may take
ENDED = frozenset({"FINISHED", "FAILED", "CANCELED", "SUSPENDED"})


class FlinkError(ElBeamError):
    """What the cluster refuses, or that it isn't there; the message is for people."""


class FlinkAway(FlinkError):
    """Nobody answers at the address."""

    transient = True


class FlinkJob(NamedTuple):
    """A job as the cluster lists it."""

    id: str
    name: str
    state: str  # RUNNING, RESTARTING, FINISHED, …
    started: float  # unix seconds
    running: int  # tasks
    tasks: int
    submission: str = ""  # what no other one of the name has; empty for jobs that aren't ours

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @property
    def works(self) -> bool:
        """Whether all its tasks run."""
        return self.state == "RUNNING" and 0 < self.tasks == self.running


def _listed(job: dict[str, Any]) -> FlinkJob:
    name, *rest = _SUBMISSION.split(job["name"])
    return FlinkJob(job["jid"], name, job["state"], job["start-time"] / 1000,
                    job["tasks"]["running"], job["tasks"]["total"], *rest[:1])  # fmt: skip


class FlinkCluster:
    """The cluster whose JobManager answers at host:port."""

    def __init__(self, address: str) -> None:
        self.address = address.removeprefix("http://").rstrip("/")

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def ui(self, job: str) -> str:
        """The page of a job, for people."""
        return f"{self.url}/#/job/running/{job}/overview"

    def jobs(self) -> list[FlinkJob]:
        """All jobs, newest first. Raises FlinkError."""
        found = map(_listed, self._ask("/jobs/overview")["jobs"])
        return sorted(found, key=lambda job: -job.started)

    def job(self, wanted: str) -> FlinkJob:
        """The job with this id, or the newest with this name that hasn't ended.

        Raises FlinkError where there is none."""
        jobs = self.jobs()
        for job in jobs:
            if job.id == wanted or (job.name == wanted and not job.ended):
                return job
        there_are = ", ".join(f"{job.id} ({job.name})" for job in jobs if not job.ended) or "none"
        raise FlinkError(f"no job {wanted!r} at {self.address}; running: {there_are}")

    def settings(self) -> dict[str, str]:
        """The JobManager's settings."""
        return {each["key"]: each["value"] for each in self._ask("/jobmanager/config")}

    def slots(self) -> tuple[int, int]:
        """(free, all) task slots."""
        overview = self._ask("/overview")
        return int(overview["slots-available"]), int(overview["slots-total"])

    def checkpoints(self, job: str) -> dict[str, Any]:
        """What Flink knows of a job's checkpoints."""
        return dict(self._ask(f"/jobs/{job}/checkpoints"))

    def checkpoint_settings(self, job: str) -> dict[str, Any]:
        """How a job makes its checkpoints: `interval` in milliseconds, and more."""
        return dict(self._ask(f"/jobs/{job}/checkpoints/config"))

    def failure(self, job: str) -> str:
        """The root of a job's last failure; empty if it never failed."""
        told = self._ask(f"/jobs/{job}/exceptions?maxExceptions=1")
        return str(told.get("root-exception") or "")

    def cancel(self, job: str) -> None:
        """End a job as it is. Its offsets are those of the last checkpoint."""
        self._ask(f"/jobs/{job}?mode=cancel", "PATCH")

    def end(self, job: FlinkJob, patience: float = 240.0) -> None:
        """End a job as it is, and wait until it has ended.

        Raises FlinkError, also where it hasn't after `patience` seconds: Flink gives a task that
        hangs three minutes until it ends its TaskManager."""
        try:
            self.cancel(job.id)
        except FlinkError:
            if self._is_under_way(job.id):
                raise
        end = time.monotonic() + patience
        while self._is_under_way(job.id):
            if time.monotonic() > end:
                raise FlinkError(
                    f"the job {job.id} ({job.name}) was cancelled and has not ended after "
                    f"{patience:.0f} s: see {self.ui(job.id)}; its TaskManager may hang"
                )
            time.sleep(0.2)

    def _is_under_way(self, job: str) -> bool:
        return any(each.id == job and not each.ended for each in self.jobs())

    def stop(self, job: str, folder: str | None = None) -> str:
        """End a job with a savepoint, in `folder` or where the cluster keeps them; its path.

        Raises FlinkError; the job runs on then."""
        request = {"drain": False, **({"targetDirectory": folder} if folder else {})}
        trigger = self._ask(f"/jobs/{job}/stop", "POST", request)["request-id"]
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            told = self._ask(f"/jobs/{job}/savepoints/{trigger}")
            if told["status"]["id"] == "COMPLETED":
                operation = told["operation"]
                if "location" in operation:
                    return str(operation["location"])
                cause = operation.get("failure-cause", {}).get("stack-trace", "unknown cause")
                raise FlinkError(f"no savepoint: {cause.splitlines()[0]}")
            time.sleep(0.2)
        raise FlinkError(f"no savepoint after {_PATIENCE:.0f} s")

    def _ask(self, path: str, method: str = "GET", body: Any = None) -> Any:
        request = urllib.request.Request(
            self.url + path, json.dumps(body).encode() if body is not None else None,
            {"Content-Type": "application/json"}, method=method,
        )  # fmt: skip
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code == 503:  # a JobManager that isn't the leader yet
                raise FlinkAway(f"{self.address} is starting") from error
            raise FlinkError(f"{self.address} refuses {path}: {_reason(error)}") from error
        except (OSError, ValueError, HTTPException) as error:
            raise FlinkAway(f"no Flink answers at {self.address}: {error}") from error


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        told = json.loads(error.read())["errors"]
    except (ValueError, KeyError, OSError):
        return str(error)
    lines = [line for each in told for line in each.splitlines() if line and "\tat " not in line]
    return " ".join(lines[:3])


def cluster_of(address: str | None) -> FlinkCluster:
    """The cluster of an address, without one that of the environment, or of this machine."""
    return FlinkCluster(address or os.environ.get("FLINK", "localhost:8081"))
