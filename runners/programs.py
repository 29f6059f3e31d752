"""Programs of others: run to their end; fetched from PyPI, as source packages, and Debian."""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from runners.user_folders import locked
from schemas.errors import ElBeamError


class ProgramFailed(ElBeamError):
    """A program that isn't there or has failed; `details` is its output."""

    def __init__(self, message: str, output: str = "") -> None:
        super().__init__(message)
        self.details = output


def run_program(purpose: str, command: Sequence[str], **options: Any) -> str:
    """Run a command and return what it printed. Its standard input is empty.

    `purpose` says what it is good for, as in "cannot …"; `options` are those of `subprocess.run`.
    Raises ProgramFailed."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", check=False, **options,
        )  # fmt: skip
    except OSError as error:
        raise ProgramFailed(f"cannot {purpose}: {error}") from error
    if done.returncode:
        last = (done.stdout.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise ProgramFailed(f"cannot {purpose}: {last}", done.stdout)
    return str(done.stdout)


def unpack_package(name: str, version: str, inside: str, to: Path) -> None:
    """Download a source package and make its folder `inside` the folder `to`, whole or not at all.

    It does nothing if `to` exists. Processes that do it at the same time wait for each other.
    Raises ProgramFailed."""
    with locked(to.parent / f"{name}.lock"), tempfile.TemporaryDirectory(dir=to.parent) as scratch:
        if to.exists():
            return
        pip = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check"]
        source = ["--no-deps", "--no-binary", ":all:", "-d", scratch, f"{name}=={version}"]
        run_program(f"download {name} {version}", [*pip, *source])
        (archive_file,) = Path(scratch).glob("*.tar.gz")
        with tarfile.open(archive_file) as archive:
            extract(archive, PurePosixPath(f"{name}-{version}", inside), Path(scratch, "files"))
        Path(scratch, "files").rename(to)


def extract(archive: tarfile.TarFile, inside: PurePosixPath, to: Path) -> None:
    """Copy the plain files of an archive's folder below another folder.

    Links, devices and paths that lead elsewhere are left out, as by `filter="data"` of tarfile,
    which Python has since 3.11.4 alone."""
    to.mkdir()
    for member in archive:
        path = PurePosixPath(member.name)
        if not (member.isfile() and path.is_relative_to(inside)) or ".." in path.parts:
            continue
        content = archive.extractfile(member)
        assert content  # a plain file has some
        target = to / path.relative_to(inside)
        target.parent.mkdir(parents=True, exist_ok=True)
        with content, target.open("wb") as copy:
            shutil.copyfileobj(content, copy)


def debian_packages(*names: str) -> None:
    """Install packages of Debian as root. Raises ProgramFailed, also for who isn't root."""
    needed = " ".join(names)
    if os.getuid() or not shutil.which("apt-get"):
        raise ProgramFailed(f"something is missing; on Debian: apt-get install {needed}")
    apt = ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=600"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for call in (["update"], ["install", "-y", "--no-install-recommends", *names]):
        run_program(f"install {needed}", [*apt, *call], env=environment)
