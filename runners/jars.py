"""The Java parts of a job: which jar is where."""

from __future__ import annotations

import os
from pathlib import Path

from schemas.errors import WrongCall

_ROOT = Path(__file__).resolve().parents[1]
_BUILT = _ROOT / "runners" / "java"
FOLDER = "EL_JARS"  # a folder with the jars, where the project is installed without its checkout
_REMEDY = f"run scripts/build-jars, or set {FOLDER} to the folder of the jars"
SPARK_VERSION = "3.5.7"
SPARK_HOME = "SPARK_HOME"  # Spark's folder, where it isn't the checkout's own
OUR_SPARK = _ROOT / ".cache" / f"spark-{SPARK_VERSION}"

# Java 17 keeps these closed; Spark goes into them.
SPARK_OPENS = [
    f"--add-opens=java.base/{package}=ALL-UNNAMED"
    for package in (
        *("java.lang", "java.lang.invoke", "java.lang.reflect", "java.io", "java.net", "java.nio"),
        *("java.util", "java.util.concurrent", "java.util.concurrent.atomic", "sun.nio.ch"),
        *("sun.nio.cs", "sun.security.action", "sun.util.calendar"),
    )
]

_LOG4J = """\
rootLogger.level = {level}
rootLogger.appenderRef.err.ref = Err
appender.err.name = Err
appender.err.type = Console
appender.err.target = SYSTEM_ERR
appender.err.layout.type = PatternLayout
appender.err.layout.pattern = %d{{ISO8601}} %-5p %c{{1.}}: %m%n
logger.grpc.name = org.apache.beam.vendor.grpc
logger.grpc.level = off
"""


def log4j(level: str) -> str:
    """Settings of the logging of Flink's and Spark's JVMs: to stderr, from this level on."""
    return _LOG4J.format(level=level)


class JarMissing(WrongCall):
    """A jar that isn't there; the message says how to get it."""


def jar(name: str) -> str:
    """Path of `flink-job-server` or `kafka-expansion`. Raises JarMissing."""
    folder = os.environ.get(FOLDER)
    path = Path(folder) / f"{name}-1.jar" if folder else _BUILT / name / "target" / f"{name}-1.jar"
    if not path.is_file():
        raise JarMissing(f"{path} is missing: {_REMEDY}")
    return str(path)


def job_server_lib() -> Path:
    """The folder with Beam's half of the class path of `spark-job-server`. Raises JarMissing."""
    folder = os.environ.get(FOLDER)
    name = "spark-job-server"
    path = Path(folder) / name if folder else _BUILT / name / "target" / "lib"
    return _with_jars(path, f"Beam's jars for Spark are missing in {path}: {_REMEDY}")


def spark_lib() -> Path:
    """The folder with Spark's half. Raises JarMissing."""
    path = Path(os.environ.get(SPARK_HOME) or OUR_SPARK) / "jars"
    remedy = f"set {SPARK_HOME} to the folder of a Spark {SPARK_VERSION}, or run el stack up spark"
    return _with_jars(path, f"Spark's jars are missing in {path}: {remedy}")


def _with_jars(folder: Path, missing: str) -> Path:
    if not any(folder.glob("*.jar")):
        raise JarMissing(missing)
    return folder
