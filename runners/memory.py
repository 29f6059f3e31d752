"""How this process uses memory: glibc's malloc, Python's garbage. For the entries of processes of
our own: what a library calls leaves both alone."""

import ctypes
import gc
from contextlib import suppress

_M_ARENA_MAX = -8  # of malloc.h
FEW, ANY_NUMBER = 2, 0


def share_arenas(arenas: int = FEW) -> None:
    """Let all threads of this process use the same few heaps; the reason is at
    `orphans.environment`. Does nothing without glibc."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, arenas)


def collect_seldom() -> None:
    """Let this process look for garbage less often. Events are trees, which go when their bundle
    lets go of them; looking for cycles among the thousands in flight costs a tenth of the time."""
    if not gc.get_freeze_count():  # later it would keep what earlier jobs of this process have left
        gc.freeze()
    gc.set_threshold(10_000, 50, 1_000)
