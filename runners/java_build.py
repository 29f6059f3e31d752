"""Builds the Java parts from their sources, which are shipped with us, into the user's cache."""

import shutil
from pathlib import Path

from runners import jars
from runners.packages import debian_packages
from runners.programs import run_program
from runners.user_folders import locked

_JARS = ("flink-job-server", "kafka-expansion")  # a jar each
_LIBRARIES = ("spark-job-server", "kafka-broker", "hdfs")  # a folder of jars each


def build() -> Path:
    """Build the Java parts, unless it was done for these very sources, and return their folder.

    The folder is complete, or it doesn't exist; `runners.jars` says what is in it. Processes that
    build at the same time wait for each other. As root on Debian it installs Java 17 and Maven if
    they are missing.
    Raises ProgramFailed."""
    to = jars.built()
    with locked(to.parent / "lock"):
        if not to.exists():
            _install_tools()
            scratch = to.with_suffix(".building")
            shutil.rmtree(scratch, ignore_errors=True)  # of a build that was killed
            _compile(scratch)
            _gather(scratch)
            (scratch / "jars").rename(to)
            shutil.rmtree(scratch)
    return to


def _install_tools() -> None:
    if not (shutil.which("java") and shutil.which("mvn")):
        debian_packages("openjdk-17-jdk-headless", "maven")


def _compile(scratch: Path) -> None:
    for source in jars.sources():
        copy = scratch / source.relative_to(jars.SOURCES)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, copy)
    maven = ["mvn", "-q", "-B", "-ntp", "package"]
    run_program(f"build {jars.NAME} with Maven", maven, cwd=scratch)


def _gather(scratch: Path) -> None:
    found = scratch / "jars"
    found.mkdir()
    for name in _JARS:
        (scratch / name / "target" / f"{name}-1.jar").rename(found / f"{name}-1.jar")
    for name in _LIBRARIES:
        (scratch / name / "target" / "lib").rename(found / name)
