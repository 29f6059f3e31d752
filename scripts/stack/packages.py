"""What servers are made of: jars that Maven fetches, those in source packages of PyPI, and packages
of Debian."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from stack.component import CACHE, ROOT
from stack.process import StackError


def built_jars(module: str) -> Path:
    """Where the jars of a module of `runners/java` are, once `build_jars` was called."""
    return ROOT / "runners" / "java" / module / "target" / "lib"


def build_jars(wanted: Path) -> None:
    """All jars of `runners/java`, unless this folder has some. Raises StackError."""
    if any(wanted.glob("*.jar")):
        return
    if subprocess.run([str(ROOT / "scripts" / "build-jars")], check=False).returncode:
        raise StackError("scripts/build-jars has failed")


def unpack_package(name: str, version: str, inside: str, to: Path) -> None:
    """Download a source package and make its folder `inside` the folder `to`, whole or not at all.

    Raises StackError."""
    CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        done = subprocess.run(
            [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:",
             "-d", scratch, f"{name}=={version}"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        archives = list(Path(scratch).glob("*.tar.gz"))
        if done.returncode or not archives:
            raise StackError(f"cannot download {name} {version}:\n{done.stderr}")
        with tarfile.open(archives[0]) as archive:
            archive.extractall(scratch, filter="data")
        shutil.rmtree(to, ignore_errors=True)
        to.parent.mkdir(exist_ok=True)
        Path(scratch, f"{name}-{version}", inside).rename(to)


def debian_packages(*names: str) -> None:
    """Install packages of Debian, where we may. Raises StackError."""
    told = " ".join(names)
    if os.getuid() or not shutil.which("apt-get"):
        raise StackError(f"something is missing; on Debian: apt-get install {told}")
    apt = ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=600"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for call in (["update"], ["install", "-y", "--no-install-recommends", *names]):
        done = subprocess.run(
            [*apt, *call], capture_output=True, text=True, check=False, env=environment
        )
        if done.returncode:
            raise StackError(f"cannot install {told}:\n{done.stderr}")
