"""Beam's Python servers listen on loopback alone.

Those of the direct runner ask for `[::]`, every address of the machine: anybody who reaches it
could read events, or pose as a worker. Those of JVMs are kept in by runners/java/loopback.
Why it is done like this: docs/decisions/004-loopback.md.
"""

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import grpc

_EVERYWHERE, _HERE = "[::]:", "localhost:"  # what Beam tells its workers
_lock = threading.Lock()
_blocks: dict[ModuleType, int] = {}  # that run now


class _LoopbackGrpc(ModuleType):
    """grpc, but for the addresses of its servers."""

    def __getattr__(self, name: str) -> Any:
        return getattr(grpc, name)

    @staticmethod
    def server(*how: Any, **more: Any) -> grpc.Server:
        made = grpc.server(*how, **more)
        listen = made.add_insecure_port
        kept_in = functools.wraps(listen)(lambda at: listen(at.replace(_EVERYWHERE, _HERE)))
        vars(made)["add_insecure_port"] = kept_in
        return made


@contextmanager
def kept_in(module: ModuleType) -> Iterator[None]:
    """While the block runs, in any thread, a server that this module of Beam's makes and that asks
    for all addresses gets loopback's."""
    with _lock:
        _blocks[module] = _blocks.get(module, 0) + 1
        vars(module)["grpc"] = _LoopbackGrpc("grpc")
    try:
        yield
    finally:
        with _lock:
            _blocks[module] -= 1
            if not _blocks[module]:
                vars(module)["grpc"] = grpc
