"""Whole runs over what nobody would write on purpose, until so many lines have gone through. See
tests/support/fuzz.py.

    scripts/soak fuzz [--lines N] [--seed N]
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = ["tests/support"]

from fuzz import Drawn, problems  # noqa: E402  # found by the path above

_ROUND = 5_000  # lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, prog="scripts/soak fuzz")
    parser.add_argument("--lines", type=int, default=1_000_000, help="(default 1,000,000)")
    parser.add_argument("--seed", type=int, default=0, help="the first (default 0)")
    args = parser.parse_args()
    seed, lines, failed, began = args.seed, 0, 0, time.monotonic()
    while lines < args.lines:
        with tempfile.TemporaryDirectory() as folder:
            drawn = Drawn(seed, _ROUND, Path(folder))
            found = [*problems(drawn)]
        for each in found:
            print(f"seed {seed}: {each}", flush=True)
        failed += bool(found)
        lines, seed = lines + len(drawn.lines), seed + 1
    took = time.monotonic() - began
    print(f"seeds {args.seed} to {seed - 1}: {lines:,} lines in {took:,.0f} s, {failed} wrong runs")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
