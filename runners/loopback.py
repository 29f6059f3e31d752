"""Beam's Python servers listen on loopback alone.

Those of the direct runner ask for `[::]`, every address of the machine: whoever reaches it could
read events, or pose as a worker. The servers of Beam's JVMs are kept in by runners/java/loopback.
"""

from __future__ import annotations

import functools
from typing import Any

import grpc

_EVERYWHERE, _HERE = "[::]:", "localhost:"  # what Beam tells its workers


def keep_in() -> None:
    """From now on a gRPC server of this process that asks for all addresses gets loopback's."""
    if hasattr(grpc.server, "__wrapped__"):
        return
    original = grpc.server

    @functools.wraps(original)
    def server(*how: Any, **more: Any) -> grpc.Server:
        made = original(*how, **more)
        listen = made.add_insecure_port
        kept_in = functools.wraps(listen)(lambda at: listen(at.replace(_EVERYWHERE, _HERE)))
        vars(made)["add_insecure_port"] = kept_in
        return made

    grpc.server = server
