"""The Java parts of a job: which jar is where."""

from __future__ import annotations

import os
from pathlib import Path

_BUILT = Path(__file__).resolve().parent / "java"
FOLDER = "EL_JARS"  # a folder with the jars, where the project is installed without its checkout


class JarMissing(Exception):
    """A jar that isn't there; the message says how to get it."""


def jar(name: str) -> str:
    """Path of `flink-job-server` or `kafka-expansion`. Raises JarMissing."""
    folder = os.environ.get(FOLDER)
    path = Path(folder) / f"{name}-1.jar" if folder else _BUILT / name / "target" / f"{name}-1.jar"
    if not path.is_file():
        remedy = f"run scripts/build-jars, or set {FOLDER} to the folder of the jars"
        raise JarMissing(f"{path} is missing: {remedy}")
    return str(path)
