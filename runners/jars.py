"""The Java parts of a job and of `el stack`: which jar is where.

    flink-job-server-1.jar  kafka-expansion-1.jar
    spark-job-server/  kafka-broker/  hdfs/           the jars of a class path each

`runners.java_build` makes this folder, from sources and poms that are shipped with us.
"""

import hashlib
import os
from functools import cache
from pathlib import Path

from runners.user_folders import cache_folder
from schemas.errors import WrongCall

SOURCES = Path(__file__).parent / "java"
FOLDER = "EL_JARS"  # the folder of the jars, where it isn't the one that we have built
_REMEDY = f"run el jars build, or set {FOLDER} to the folder of the jars"
NAME = "the Java parts"  # for people
SPARK_VERSION = "3.5.7"
SPARK_HOME = "SPARK_HOME"  # Spark's folder, where it isn't the one that we have fetched

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


def sources() -> list[Path]:
    """The files that the Java parts are built from."""
    patterns = ("pom.xml", "*/pom.xml", "*/src/**/*.java")
    return sorted(path for pattern in patterns for path in SOURCES.glob(pattern))


def built() -> Path:
    """The folder in the user's cache of what these very sources give, built or not."""
    return cache_folder() / "java" / _digest()


@cache
def _digest() -> str:
    digest = hashlib.sha256()
    for path in sources():
        digest.update(f"{path.relative_to(SOURCES)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def jar(name: str) -> str:
    """Path of `flink-job-server` or `kafka-expansion`. Raises JarMissing."""
    path = _folder() / f"{name}-1.jar"
    if not path.is_file():
        raise JarMissing(f"{path} is missing: {_REMEDY}")
    return str(path)


def job_server_lib() -> Path:
    """The folder with Beam's half of the class path of `spark-job-server`. Raises JarMissing."""
    path = _folder() / "spark-job-server"
    return _with_jars(path, f"Beam's jars for Spark are missing in {path}: {_REMEDY}")


def library(name: str) -> Path:
    """The folder of the jars of `kafka-broker` or `hdfs`, built or not."""
    named = _folder() / name
    return named if named.exists() else built() / name


def our_spark() -> Path:
    """The folder in the user's cache of Spark, fetched or not."""
    return cache_folder() / f"spark-{SPARK_VERSION}"


def spark_lib() -> Path:
    """The folder with Spark's half. Raises JarMissing."""
    path = Path(os.environ.get(SPARK_HOME) or our_spark()) / "jars"
    remedy = f"set {SPARK_HOME} to the folder of a Spark {SPARK_VERSION}, or run el stack up spark"
    return _with_jars(path, f"Spark's jars are missing in {path}: {remedy}")


def _folder() -> Path:
    return Path(os.environ.get(FOLDER) or built())


def _with_jars(folder: Path, missing: str) -> Path:
    if not any(folder.glob("*.jar")):
        raise JarMissing(missing)
    return folder
