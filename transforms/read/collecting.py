"""Looking for garbage less often."""

from __future__ import annotations

import gc


def without_collecting() -> None:
    """Let this process look for garbage less often. Events are trees, which go when their bundle
    lets go of them; looking for cycles among the thousands in flight costs a tenth of the time."""
    if not gc.get_freeze_count():  # later it would keep what earlier jobs of this process have left
        gc.freeze()
    gc.set_threshold(10_000, 50, 1_000)
