"""Which processes listen to more than this machine."""

import re
from contextlib import suppress

import psutil

_LOOPBACK = re.compile(r"127\.|::1$|::ffff:127\.")


def exposed(variable: str, value: str) -> set[str]:
    """The processes with this variable in their environment that listen on more than loopback:
    where, and the end of their command lines."""
    found = set()
    for each in psutil.net_connections("tcp"):
        if each.status != psutil.CONN_LISTEN or not each.pid:
            continue
        address = each.laddr.ip  # type: ignore[union-attr]  # only others have none
        if not _LOOPBACK.match(address):
            with suppress(psutil.Error, OSError):
                process = psutil.Process(each.pid)
                if process.environ().get(variable) == value:
                    found.add(f"{address} {' '.join(process.cmdline())[-300:]}")
    return found
