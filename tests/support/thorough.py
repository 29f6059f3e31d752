"""What the suite tries some of, and scripts/soak all of."""

import os
from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


THOROUGH = bool(os.environ.get("EL_THOROUGH"))


def some(every: Sequence[Item], chosen: Sequence[Item]) -> Sequence[Item]:
    """The `chosen` ones of all that there are to try; `every` one if EL_THOROUGH is set."""
    return every if THOROUGH else chosen
