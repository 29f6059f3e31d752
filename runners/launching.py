"""Launching the servers of Beam's that run beside a job, each a JVM."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from apache_beam.transforms.external import JavaJarExpansionService
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

from runners.jars import jar

Result = TypeVar("Result")
_KAFKA = (
    "{{PORT}}",
    "--defaultEnvironmentType=EMBEDDED",  # Java steps run inside the runner: no Docker
    "--javaClassLookupAllowlistFile=*",
    # The splittable read that is KafkaIO's default gives next to nothing on portable Flink.
    "--experiments=use_deprecated_read",
    # Java steps find their classes in the job server's jar. Beam stages at least one file; by
    # default it is all of the expansion service.
    f"--filesToStage={__file__}",
)


def launched(start: Callable[[], Result]) -> Result:
    """What `start` gives, which launches a server.

    A server is told a port that was free a moment before. Where another process has taken it since,
    the server ends, and `start` raises RuntimeError: then it is called again, twice."""
    attempts = Retrying(
        retry=retry_if_exception_type(RuntimeError), stop=stop_after_attempt(3), reraise=True
    )
    return attempts(start)


def kafka_expansion() -> JavaJarExpansionService:
    """What tells Beam how KafkaIO is made. Raises JarMissing."""
    return _Expansion(jar("kafka-expansion"), extra_args=list(_KAFKA))


class _Expansion(JavaJarExpansionService):
    def __enter__(self) -> Any:
        return launched(super().__enter__)
