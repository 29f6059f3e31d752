"""Builds the Java parts from their sources, which are shipped with us, into the user's cache."""

from __future__ import annotations

import shutil
import subprocess
from collections import deque
from pathlib import Path

from runners import jars
from runners.packages import NotInstalled, debian_packages
from runners.user_folders import locked

_JARS = ("flink-job-server", "kafka-expansion")  # a jar each
_LIBRARIES = ("spark-job-server", "kafka-broker", "hdfs")  # a folder of jars each
_SHOWN = 25  # last lines of a log


def build() -> Path:
    """Build the Java parts, unless it was done for these very sources, and return their folder.

    It is complete or not there: `runners.jars` says what is in it. Processes that build at once
    wait for each other. As root on Debian it installs Java 17 and Maven where they are missing.
    Raises NotInstalled."""
    to = jars.built()
    with locked(to.parent / "lock"):
        if not to.exists():
            _install_tools()
            scratch = to.with_suffix(".building")
            shutil.rmtree(scratch, ignore_errors=True)  # of a build that was killed
            _compile(scratch, to.parent / "build.log")
            _gather(scratch)
            (scratch / "jars").rename(to)
            shutil.rmtree(scratch)
    return to


def _install_tools() -> None:
    if not (shutil.which("java") and shutil.which("mvn")):
        debian_packages("openjdk-17-jdk-headless", "maven")


def _compile(scratch: Path, log: Path) -> None:
    for source in jars.sources():
        copy = scratch / source.relative_to(jars.SOURCES)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, copy)
    with log.open("wb") as output:
        done = subprocess.run(["mvn", "-q", "-B", "-ntp", "package"], cwd=scratch, check=False,
                              stdin=subprocess.DEVNULL, stdout=output, stderr=output)  # fmt: skip
    if done.returncode:
        with log.open(errors="replace") as lines:
            end = "".join(deque(lines, _SHOWN))
        raise NotInstalled(f"Maven cannot build the Java parts; the whole log is {log}:\n{end}")


def _gather(scratch: Path) -> None:
    found = scratch / "jars"
    found.mkdir()
    for name in _JARS:
        (scratch / name / "target" / f"{name}-1.jar").rename(found / f"{name}-1.jar")
    for name in _LIBRARIES:
        (scratch / name / "target" / "lib").rename(found / name)
