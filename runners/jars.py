"""The Java parts of a job and of `el stack`: which jar is where, and how they are built.

    flink-job-server-2.jar  kafka-expansion-2.jar
    spark-job-server/  kafka-broker/  hdfs/           the jars of a class path each

This folder is made from sources and poms that are shipped with us, in the user's cache.
"""

import hashlib
import os
import shutil
from functools import cache
from pathlib import Path

from runners.programs import debian_packages, run_program
from runners.user_folders import cache_folder, locked
from schemas.errors import WrongCall

SOURCES = Path(__file__).parent / "java"
_VERSION = 2  # as in java/pom.xml: another one where Python and our Java must change together
_JARS = ("flink-job-server", "kafka-expansion")  # a jar each
_LIBRARIES = ("spark-job-server", "kafka-broker", "hdfs")  # a folder of jars each
FOLDER = "EL_JARS"  # the folder of the jars, where it isn't the one that we have built
NAME = "the Java parts"  # for people
SPARK_VERSION = "3.5.7"
SPARK_HOME = "SPARK_HOME"  # Spark's folder, where it isn't the one that we have fetched


def opening(packages: str) -> list[str]:
    """Options that open packages to a JVM's programs, which Java 17 keeps closed."""
    return [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in packages.split()]


SPARK_OPENS = opening(
    "java.lang java.lang.invoke java.lang.reflect java.io java.net java.nio java.util "
    "java.util.concurrent java.util.concurrent.atomic sun.nio.ch sun.nio.cs sun.security.action "
    "sun.util.calendar"
)

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
    patterns = ("pom.xml", "*/pom.xml", "*/src/**/*.*")
    found = (path for pattern in patterns for path in SOURCES.glob(pattern))
    return sorted(path for path in found if path.is_file())


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
    return _there(_folder() / _file(name))


def _there(path: Path) -> str:
    if not path.is_file():
        raise JarMissing(f"{path} is missing: {_remedy()}")
    return str(path)


def _remedy() -> str:
    if os.environ.get(FOLDER):
        return f"{FOLDER} must name a folder that this version's el jars build --to DIR has made"
    return f"run el jars build, or set {FOLDER} to a folder that el jars build --to DIR has made"


def job_server_lib() -> Path:
    """The folder with Beam's half of the class path of `spark-job-server`. Raises JarMissing."""
    path = _folder() / "spark-job-server"
    return _with_jars(path, f"Beam's jars for Spark are missing in {path}: {_remedy()}")


def before_beams() -> str:
    """Path of the jar whose classes must be found before those of the same name in
    `job_server_lib`. Raises JarMissing."""
    return _there(job_server_lib() / _file("loopback"))


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


def _file(name: str) -> str:
    return f"{name}-{_VERSION}.jar"


def _folder() -> Path:
    return Path(os.environ.get(FOLDER) or built())


def _with_jars(folder: Path, missing: str) -> Path:
    if not any(folder.glob("*.jar")):
        raise JarMissing(missing)
    return folder


def build() -> Path:
    """Build the Java parts, unless it was done for these very sources, and return their folder.

    The folder is complete, or it doesn't exist. Processes that build at the same time wait for each
    other. As root on Debian it installs Java 17 and Maven if they are missing.
    Raises ProgramFailed."""
    to = built()
    with locked(to.parent / "lock"):
        if not to.exists():
            if not (shutil.which("java") and shutil.which("mvn")):
                debian_packages("openjdk-17-jdk-headless", "maven")
            scratch = to.with_suffix(".building")
            shutil.rmtree(scratch, ignore_errors=True)  # of a build that was killed
            _compile(scratch)
            _gather(scratch)
            (scratch / "jars").rename(to)
            shutil.rmtree(scratch)
    return to


def copy(to: Path) -> None:
    """Copy the built Java parts to this folder, for `EL_JARS` on another machine.

    Raises WrongCall if it holds something else: what is left of another version would be in the
    class paths too."""
    if strange := _files(to) - _files(built()):
        raise WrongCall(f"{to} holds {min(strange)} already, of something else: name a new folder")
    shutil.copytree(built(), to, dirs_exist_ok=True)


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def _compile(scratch: Path) -> None:
    for source in sources():
        copy = scratch / source.relative_to(SOURCES)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, copy)
    maven = ["mvn", "-q", "-B", "-ntp", "package"]
    run_program(f"build {NAME} with Maven", maven, cwd=scratch)


def _gather(scratch: Path) -> None:
    found = scratch / "jars"
    found.mkdir()
    for name in _JARS:
        (scratch / name / "target" / _file(name)).rename(found / _file(name))
    for name in _LIBRARIES:
        (scratch / name / "target" / "lib").rename(found / name)
