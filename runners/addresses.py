"""Addresses of servers on this machine and elsewhere, as host:port."""

import json
import random
import socket
import urllib.request
from contextlib import suppress
from typing import Any

LOOPBACK = "127.0.0.1"
_PORTS = (15_000, 32_000)


def answers(address: str, seconds: float = 1) -> bool:
    """Whether a server accepts connections there within that time; False for what is not an
    address."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=seconds).close()
    except (OSError, ValueError):
        return False
    return True


def ask_json(url: str) -> dict[str, Any]:
    """The JSON object that a server gives at a URL; an empty one where none answers with one."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return dict(json.load(answer))
    except (OSError, ValueError):
        return {}


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, different from each other.

    They are below those that outgoing connections take: a killed server finds its own free again.
    """
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(*_PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((LOOPBACK, port))
            found += [port] if port not in found else []
    return found
