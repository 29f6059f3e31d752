"""MariaDB: one server with the database `el` and the user `el`, who has no password."""

import getpass
import shutil

import pymysql

from runners.addresses import LOOPBACK
from runners.local_stack.component import Component, ServerProcess
from runners.programs import debian_packages, run_program

_FIRST = """\
CREATE DATABASE IF NOT EXISTS el CHARACTER SET utf8mb4;
CREATE USER IF NOT EXISTS el@'%';
GRANT ALL ON *.* TO el@'%' WITH GRANT OPTION;
"""
_SETTINGS = """\
[mariadbd]
datadir={folder}/data
socket=mariadb.sock
pid-file=mariadb.pid
port={port}
bind-address={host}
skip-name-resolve
init-file={folder}/first.sql
user={user}
character-set-server=utf8mb4
lower-case-table-names=0
skip-log-bin
performance-schema=OFF
innodb-buffer-pool-size=256M
innodb-log-file-size=128M
"""
_TLS = """\
ssl-cert={folder}/server.pem
ssl-key={folder}/server.pem
ssl-ca={folder}/ca.pem
"""


class MariaDb(Component):
    """A server. With `server.pem` (key and certificate) and `ca.pem` (the authority of clients') in
    its folder before it starts, it speaks TLS with those who want it."""

    name = "mariadb"
    ports = ("server",)

    def servers(self) -> list[ServerProcess]:
        # A socket's path may be no longer than 107 bytes, so it is relative to the data.
        command = [_path("mariadbd"), f"--defaults-file={self.folder}/mariadb.cnf"]
        return [ServerProcess("mariadb", self.stack, command, self._answers)]

    def _answers(self) -> bool:
        try:
            pymysql.connect(
                host=LOOPBACK, port=self.port["server"], user="el", database="el",
                connect_timeout=2, read_timeout=2,
            ).close()  # fmt: skip
        except (pymysql.Error, OSError):
            return False
        return True

    @staticmethod
    def missing() -> str:
        programs = map(_path, ("mariadbd", "my_print_defaults"))
        return "" if all(map(shutil.which, programs)) else "MariaDB"

    @staticmethod
    def install() -> None:
        debian_packages("mariadb-server-core", "mariadb-client-core")

    def configure(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = _SETTINGS + (_TLS if (self.folder / "server.pem").exists() else "")
        values = {"folder": self.folder, "port": self.port["server"], "host": LOOPBACK}
        (self.folder / "mariadb.cnf").write_text(settings.format(**values, user=getpass.getuser()))
        (self.folder / "first.sql").write_text(_FIRST)
        if not (self.folder / "data").exists():
            self._make_data()

    def _make_data(self) -> None:
        new = self.folder / "data.new"
        shutil.rmtree(new, ignore_errors=True)  # of an attempt that was killed
        tool = [_path("mariadb-install-db"), "--no-defaults", f"--datadir={new}"]
        options = ["--auth-root-authentication-method=normal", f"--user={getpass.getuser()}"]
        run_program("make MariaDB's data", [*tool, "--skip-test-db", *options])
        new.rename(self.folder / "data")


def _path(program: str) -> str:
    return shutil.which(program) or f"/usr/sbin/{program}"  # which isn't on everybody's PATH
