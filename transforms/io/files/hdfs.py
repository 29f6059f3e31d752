"""Files on HDFS over HTTP: WebHDFS, or HttpFS, which speaks the same."""

import getpass
import io
import os
import re
from collections.abc import Iterator
from math import inf
from typing import IO, Any
from urllib.parse import urlsplit
from urllib.request import getproxies

import hdfs
import requests

from transforms.io.files.base import Access, FileInfo, Files, FoundAccess, ask
from transforms.io.retry import LONGEST_REQUEST

HDFS_PORT = 9870  # of WebHDFS, unless a path says otherwise
_READ_AHEAD = 8 * 1024 * 1024  # bytes of one request
_REMEMBERED = 60.0  # seconds: people change permissions seldom, and a NameNode is asked much
_MOST_REMEMBERED = 10_000
_TRANSIENT = re.compile(
    "Failed to find datanode|EOFException|safe mode|SafeMode|startup mode|still not started"
    "|StandbyException|RetriableException|could only be (?:replicated|written) to 0|NoRouteToHost"
    "|ConnectException|SocketTimeout"
    "|InterruptedIOException|ServiceUnavailable|lease recovery|Connection refused"
)


class HdfsFiles(Files):
    """The HDFS of one NameNode."""

    faults = (hdfs.HdfsError, requests.RequestException)

    def __init__(self, authority: str) -> None:
        """`authority` is [USER@]HOST[:PORT]. Raises OSError for an invalid one."""
        at = urlsplit(f"//{authority}")
        try:
            url = f"http://{at.hostname}:{at.port or HDFS_PORT}"
        except ValueError as error:
            raise OSError(f"hdfs://{authority}: {error}") from error
        user = at.username or os.environ.get("HADOOP_USER_NAME") or _user(authority)
        self._prefix = f"hdfs://{authority}"
        # When we asked for it, and it.
        self._access: dict[str, tuple[float, FoundAccess | None]] = {}
        session = requests.Session()
        # Without these it would look for them in the environment at each request, which takes long.
        session.trust_env = bool(getproxies() or requests.utils.get_netrc_auth(url))
        self.client = hdfs.InsecureClient(url, user=user, timeout=LONGEST_REQUEST, session=session)

    def is_transient(self, error: Exception) -> bool:
        if isinstance(error, hdfs.HdfsError):
            return _TRANSIENT.search(str(error)) is not None
        return isinstance(error, (requests.ConnectionError, requests.Timeout))

    def _path(self, path: str) -> str:
        return path.removeprefix(self._prefix) or "/"

    def info(self, path: str) -> FileInfo | None:
        status = self.client.status(self._path(path), strict=False)
        return _info(path, status) if status else None

    def access(self, path: str) -> FoundAccess | None:
        asked, known = self._access.get(path, (-inf, None))
        if asked < (now := self.clock.monotonic()) - _REMEMBERED:
            status = self.client.status(self._path(path), strict=False)
            known = FoundAccess(int(status["permission"], 8) & 0o777, None) if status else None
            if len(self._access) >= _MOST_REMEMBERED:
                self._access.clear()
            self._access[path] = now, known
        return known

    def make_folder(self, path: str, access: Access | None = None) -> None:
        bits = f"{access.bits(0o755, folder=True):o}" if access else None
        self.client.makedirs(self._path(path), permission=bits)
        self._made(path)

    def _made(self, path: str) -> None:
        """A folder is there, and those above it: what was remembered as missing of them, too."""
        while path:
            if path in self._access and self._access[path][1] is None:
                self._access.pop(path, None)
            path = path.rpartition("/")[0]

    def write(self, path: str, content: bytes, access: Access | None = None) -> None:
        bits = f"{access.bits(0o644, folder=False):o}" if access else None
        self.client.write(self._path(path), data=content, overwrite=True, permission=bits)
        self._made(path.rpartition("/")[0])

    def open_file(self, path: str) -> IO[bytes]:
        size = self.client.status(self._path(path))["length"]
        return io.BufferedReader(_HdfsStream(self, path, self._path(path), size), _READ_AHEAD)

    def move(self, source: str, target: str) -> bool:
        try:
            self.client.rename(self._path(source), self._path(target))
        except hdfs.HdfsError as error:
            if self.is_transient(error):
                raise
            if not self.exists(source) and self.exists(target):
                return True  # an earlier try had worked, though its answer was lost
            if self.exists(target):
                return False
            raise
        return True

    def remove(self, path: str) -> None:
        self.client.delete(self._path(path), recursive=True)

    def remove_empty(self, folder: str) -> None:
        try:
            self.client.delete(self._path(folder), recursive=False)
        except hdfs.HdfsError as error:
            if "is non empty" not in str(error):
                raise

    def names(self, folder: str) -> list[str]:
        try:
            return sorted(self.client.list(self._path(folder)))
        except hdfs.HdfsError as error:
            if error.exception == "FileNotFoundException":  # others may have made it since
                return []
            raise

    def walk(self, folder: str) -> Iterator[FileInfo]:
        if not self.exists(folder):
            return
        walk = self.client.walk(self._path(folder), status=True, ignore_missing=True)
        for (within, _), _, files in walk:
            for name, status in files:
                yield _info(f"{self._prefix}{within.rstrip('/')}/{name}", status)


def _user(authority: str) -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise OSError(
            f"hdfs://{authority}: the user id {os.getuid()} has no name here: write "
            f"hdfs://USER@{authority}, or set HADOOP_USER_NAME"
        ) from None


def _info(path: str, status: dict[str, Any]) -> FileInfo:
    return FileInfo(path, status["length"], status["modificationTime"] / 1000)


class _HdfsStream(io.RawIOBase):
    """A file's bytes, a request for each read; one that fails is repeated like any other call."""

    def __init__(self, files: HdfsFiles, shown: str, path: str, size: int) -> None:
        self._files, self._shown, self._path, self._size = files, shown, path, size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(start + offset, 0)
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        length = min(len(buffer), self._size - self._position)
        if length <= 0:
            return 0

        def read(_: Files) -> bytes:
            request = self._files.client.read(self._path, offset=self._position, length=length)
            with request as answer:
                return bytes(answer.read())

        data = ask(self._files, self._shown, read)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)
