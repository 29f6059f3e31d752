"""MysqlServer: how a database of MariaDB or MySQL is reached.

A password is never part of a job: it stays the name of an environment variable or of a file, which
the process that connects reads.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from transforms.io.secrets import SettingsError, check_secret, read_secret

SETTINGS: Final = {
    "password": "${NAME}: an environment variable of each process that connects",
    "password.file": "a file with the password, on each machine that connects",
    "ssl_mode": "DISABLED, PREFERRED (the default), REQUIRED, VERIFY_CA or VERIFY_IDENTITY",
    "ssl_ca": "a PEM file with the authorities' certificates",
    "ssl_cert": "a PEM file with the client's certificate",
    "ssl_key": "a PEM file with the client's key",
    "unix_socket": "the server's socket, instead of the port",
}
"""What the connection can be set to, and a sentence on each."""
MODES: Final = ("DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY")
"""What ssl_mode may be, as MySQL's own client calls it."""
_EXAMPLE: Final = "mysql://USER@HOST:PORT/DATABASE"
_HOST = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9._-]+))(?::(?P<port>\d+))?")


@dataclass(frozen=True)
class MysqlServer:
    """A database and how to connect to it. Holds no secret: only where it is to be found."""

    user: str
    host: str
    port: int
    database: str
    settings: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, user: str, address: str, database: str, settings: Mapping[str, str]) -> MysqlServer:
        """The server at `address`, HOST or HOST:PORT; what is not a setting is passed over.

        Raises SettingsError."""
        match = _HOST.fullmatch(address)
        if not match or not user or not database or not 0 < int(match["port"] or 1) < 2**16:
            raise SettingsError(f"write {_EXAMPLE}")
        known = {name: value for name, value in settings.items() if name in SETTINGS}
        return cls(user, match["host"] or match["v6"], int(match["port"] or 3306), database, known)

    def __post_init__(self) -> None:
        given = self.settings
        check_secret("password", given)
        if self.ssl_mode not in MODES:
            raise SettingsError(
                f"ssl_mode {self.ssl_mode!r} is unknown; there are {', '.join(MODES)}"
            )
        if "ssl_ca" in given and not self.ssl_mode.startswith("VERIFY"):
            raise SettingsError(f"ssl_ca is of no use with ssl_mode={self.ssl_mode}: "
                                     "leave out one of them")  # fmt: skip
        if self.ssl_mode.startswith("VERIFY") and "ssl_ca" not in given:
            raise SettingsError("ssl_mode VERIFY_CA and VERIFY_IDENTITY need ssl_ca=PATH")
        if ("ssl_cert" in given) != ("ssl_key" in given):
            raise SettingsError("ssl_cert and ssl_key go together")
        if "ssl_cert" in given and self.ssl_mode in MODES[:2]:
            raise SettingsError("ssl_cert needs ssl_mode=REQUIRED, or ssl_ca")

    @property
    def ssl_mode(self) -> str:
        """One of MODES: with ssl_ca the server's name is checked, unless it is said otherwise."""
        return self.settings.get("ssl_mode", "VERIFY_IDENTITY" if "ssl_ca" in self.settings
                                 else "PREFERRED")  # fmt: skip

    def password(self) -> bytes:
        """The password, for the process that connects; empty where none is named.

        Raises SettingsError where it isn't there."""
        password = read_secret("password", self.settings)
        if password == b"":
            where = self.settings.get("password") or self.settings["password.file"]
            raise SettingsError(f"{where} is empty: leave it out where there is no password")
        return password or b""

    def __str__(self) -> str:
        return f"{self.host}:{self.port}/{self.database}"
