"""Files on HDFS over HTTP: WebHDFS, or HttpFS, which speaks the same."""

from __future__ import annotations

import getpass
import io
import os
import re
from typing import IO, Any, cast
from urllib.parse import urlsplit

import hdfs
import requests
from apache_beam.io.filesystem import FileSystem
from apache_beam.io.filesystemio import DownloaderStream
from apache_beam.io.hadoopfilesystem import HdfsDownloader

from transforms.io.files.base import FileInfo, Files

HDFS_PORT = 9870  # of WebHDFS, unless a path says otherwise
_TIMEOUT = 60.0  # seconds without an answer to one request
_READ_AHEAD = 8 * 1024 * 1024  # bytes of one request
_GLOB = re.compile(r"[*?\[]")
_PASSING = re.compile(
    "Failed to find datanode|EOFException|safe mode|SafeMode|startup mode|StandbyException"
    "|RetriableException|could only be (?:replicated|written) to 0|NoRouteToHost"
    "|ConnectException|SocketTimeout"
    "|InterruptedIOException|ServiceUnavailable|lease recovery|Connection refused"
)


class HdfsFiles(Files):
    """HDFS over HTTP: WebHDFS, or HttpFS, which speaks the same."""

    def __init__(self, authority: str) -> None:
        at = urlsplit(f"//{authority}")
        user = at.username or os.environ.get("HADOOP_USER_NAME") or getpass.getuser()
        self._prefix = f"hdfs://{authority}"
        url = f"http://{at.hostname}:{at.port or HDFS_PORT}"
        self._client = hdfs.InsecureClient(url, user=user, timeout=_TIMEOUT)

    def _path(self, path: str) -> str:
        return path.removeprefix(self._prefix) or "/"

    def exists(self, path: str) -> bool:
        return self._client.status(self._path(path), strict=False) is not None

    def make_folder(self, path: str) -> None:
        self._client.makedirs(self._path(path))

    def write(self, path: str, content: bytes) -> None:
        self._client.write(self._path(path), data=content, overwrite=True)

    def open(self, path: str) -> IO[bytes]:
        stream = DownloaderStream(HdfsDownloader(self._client, self._path(path)))
        return io.BufferedReader(cast("io.RawIOBase", stream), buffer_size=_READ_AHEAD)

    def move(self, source: str, target: str) -> bool:
        try:
            self._client.rename(self._path(source), self._path(target))
        except hdfs.HdfsError as error:
            if passes(error):
                raise
            if not self.exists(source) and self.exists(target):
                return True  # an earlier try had worked, though its answer was lost
            if self.exists(target):
                return False
            raise
        return True

    def remove(self, path: str) -> None:
        self._client.delete(self._path(path), recursive=True)

    def names(self, folder: str) -> list[str]:
        if not self.exists(folder):
            return []
        return sorted(self._client.list(self._path(folder)))

    def find(self, pattern: str) -> list[FileInfo]:
        top = _GLOB.split(pattern, maxsplit=1)[0]
        if top == pattern:
            status = self._client.status(self._path(pattern), strict=False)
            return [self._found(pattern, status)] if status else []
        top = top.rpartition("/")[0]
        wanted = re.compile(FileSystem.translate_pattern(pattern))
        walk = self._client.walk(self._path(top), status=True, ignore_missing=True)
        if not self.exists(top):
            return []
        return [
            self._found(path, status)
            for (folder, _), _, files in walk
            for name, status in files
            if wanted.fullmatch(path := f"{self._prefix}{folder.rstrip('/')}/{name}")
        ]

    def _found(self, path: str, status: dict[str, Any]) -> FileInfo:
        return FileInfo(path, status["length"], status["modificationTime"] / 1000)


def passes(error: object) -> bool:
    """Whether trying again may help."""
    if isinstance(error, hdfs.HdfsError):
        return _PASSING.search(str(error)) is not None
    return isinstance(error, (requests.ConnectionError, requests.Timeout))
