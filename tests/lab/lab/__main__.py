"""Plays histories: python -m lab FIRST LAST; or python -m lab SEED, which is made shorter if it
fails."""

import sys
import time

from lab.expected import Violation
from lab.history import play, quiet
from lab.seeds import steps_of
from lab.shrink import shortest


def main(first: int, last: int) -> int:
    began, failed = time.monotonic(), 0
    for seed in range(first, last + 1):
        steps = steps_of(seed)
        try:
            play(seed, steps)
        except Violation as error:
            failed += 1
            print(f"seed {seed}, {len(steps)} steps: {error}", flush=True)
            if first == last:
                short, why = shortest(seed, steps)
                print(f"shortest: {len(short)} steps: {why}")
                for step in short:
                    print("   ", *step)
    seconds = time.monotonic() - began
    print(f"{last - first + 1} histories, {failed} violations, {seconds:.1f} s")
    return int(failed > 0)


if __name__ == "__main__":
    with quiet():
        sys.exit(main(int(sys.argv[1]), int(sys.argv[-1])))
