"""Histories in the crash lab, by the thousand, in parts of 45 minutes.

scripts/soak lab [--to SEED] [--minutes N]
scripts/soak lab --handovers

The seeds that were played are noted in .cache/lab-seeds: the next part goes on after them. With
`--handovers` it plays all of these instead (lab/handovers.py), in a quarter of an hour.
"""

import argparse
import sys
import time
from pathlib import Path

sys.path[:0] = ["tests/lab", "tests/support"]

from lab.expected import Violation  # noqa: E402  # found by the path above
from lab.handovers import PAIRS, handovers  # noqa: E402  # found by the path above
from lab.history import play, quiet  # noqa: E402  # found by the path above
from lab.seeds import steps_of  # noqa: E402  # found by the path above
from lab.shrink import shortest  # noqa: E402

_NOTE = Path(".cache/lab-seeds")


def play_handovers() -> int:
    """Returns how many pairs fail."""
    failed = 0
    for first, second in PAIRS:
        number = 0
        try:
            for number, steps in handovers(first, second):
                play(number, steps)
        except Violation as error:
            failed += 1
            print(f"{first} is stopped after {number} operations, {second} works on: {error}")
        print(f"{first} to {second}: {number} hand-overs", flush=True)
    return failed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, prog="scripts/soak lab")
    parser.add_argument("--to", type=int, default=50_000, help="the last seed (default 50,000)")
    parser.add_argument("--minutes", type=float, default=45.0, help="of this part (default 45)")
    parser.add_argument("--handovers", action="store_true", help="play these instead")
    args = parser.parse_args()
    if args.handovers:
        return play_handovers()
    first = int(_NOTE.read_text()) if _NOTE.exists() else 0
    seed, began, failed = first, time.monotonic(), 0
    while seed < args.to and time.monotonic() - began < args.minutes * 60:
        try:
            play(seed, steps_of(seed))
        except Violation as error:
            failed += 1
            steps, why = shortest(seed, steps_of(seed))
            print(f"seed {seed}: {error}; in {len(steps)} steps: {why}")
            for step in steps:
                print("   ", *step, flush=True)
        seed += 1
        _NOTE.parent.mkdir(exist_ok=True)
        _NOTE.write_text(str(seed))
    print(f"seeds {first:,} to {seed - 1:,}: {failed} violations; {args.to - seed:,} are left")
    return int(failed > 0)


if __name__ == "__main__":
    with quiet():
        sys.exit(main())
