"""Memory stays flat as input grows: N lines and a tenth of them into Parquet, by one worker and by
two; no process may need more than 1 GB, nor ten times the input much more than one.

    scripts/soak memory [--lines N]
"""

import sys

from core import Peak, graph, make_log
from traffic.trial import parser

MOST_MIB = 1000 / 1.048576  # 1 GB
MOST_GROWTH = 1.25  # allocators are not exact


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--lines", type=int, default=2_000_000)
    args = options.parse_args()
    breaches = 0
    print(f"{'lines':>10}  workers  {'lines/s':>8}  MiB a process")
    for workers in (1, 2):
        peaks = []
        for lines in (args.lines // 10, args.lines):
            path = make_log(lines)
            with Peak() as peak:
                found = graph(path, workers)
            assert found["read"] == lines
            peaks.append(peak.mib)
            rate = lines / found["seconds"]
            print(f"{lines:10,}  {workers:7}  {rate:8,.0f}  {peak.mib:,.0f}", flush=True)
        if peaks[1] > MOST_MIB or peaks[1] > MOST_GROWTH * peaks[0]:
            breaches += 1
            print(f"breach: {peaks[1]:,.0f} MiB, {peaks[1] / peaks[0]:.2f} times as much")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
