"""Whole runs over what nobody would write on purpose; scripts/soak fuzz does many."""

from pathlib import Path

import pytest
from fuzz import Drawn, problems


@pytest.mark.parametrize("seed", (0, 1, 3))
def test_all_sinks_hold_the_same(seed: int, tmp_path: Path) -> None:
    assert [*problems(Drawn(seed, 700, tmp_path))] == []
