"""How long a consumer's transactions take while a million old rows of the same table are removed,
beside how long they take without that.

    scripts/bench mysql_purge [--rows N] [--rate N]
"""

import os
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from schemas.event import Destination
from schemas.registry import open_registry
from traffic.database import Database, event, write
from traffic.started import EL, ROOT
from traffic.trial import parser, temporary_stack

EDIT = Destination("Edit", 17541122)
ROWS = 100  # of a transaction of the consumer
AGENT = {"browser_family": "Chrome", "os_family": "Linux", "is_bot": False, "rest": "x" * 200}
OLD = """INSERT INTO {table} (uuid, dt, timestamp, wiki, webHost, userAgent, event_action)
    SELECT LPAD(HEX(seq), 32, 'z'), t, DATE_FORMAT(t, '%Y%m%d%H%i%s'), 'enwiki', 'en.wikipedia.org',
    RPAD('{{', 400, 'x'), 'init'
    FROM (SELECT seq, '2019-03-01' + INTERVAL seq SECOND AS t FROM seq_{first}_to_{last}) old"""


@contextmanager
def inserting(database: Database, rate: int) -> Iterator[list[float]]:
    """While the block runs, a consumer inserts so many rows a second, as fast as it can where it is
    behind: seconds of each of its transactions."""
    writer, stop = database.sink(open_registry(None)).writer(), threading.Event()
    seconds: list[float] = []

    def insert() -> None:
        number, due = int(time.time() * 1_000_000), time.monotonic()
        while not stop.is_set():
            now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            rows = [event(number + each, dt=now, wiki="enwiki", userAgent=AGENT,
                          event={"action": "init"}) for each in range(ROWS)]  # fmt: skip
            number += ROWS
            time.sleep(max(0.0, due - time.monotonic()))
            begun, bundle = time.monotonic(), writer.bundle()
            for each in rows:
                bundle.add(EDIT, each)
            assert sum(receipt.written for receipt in bundle.commit()) == ROWS
            seconds.append(time.monotonic() - begun)
            due += ROWS / rate

    thread = threading.Thread(target=insert)
    thread.start()
    try:
        yield seconds
    finally:
        stop.set()
        thread.join()
        writer.close()


def told(what: str, seconds: list[float], more: str = "") -> None:
    found = statistics.quantiles(seconds, n=100)
    print(f"{what:28}{len(seconds) * ROWS:9,} rows{found[49] * 1e3:9.1f}{found[98] * 1e3:9.1f}"
          f"{max(seconds) * 1e3:9.1f}{os.getloadavg()[0]:7.1f}  {more}", flush=True)  # fmt: skip


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--rows", type=int, default=1_000_000, help="old ones")
    options.add_argument("--rate", type=int, default=1_000, help="new ones a second")
    args = options.parse_args()
    with temporary_stack("mariadb") as stack:
        keep = stack.folder / "keep.yaml"
        keep.write_text("Edit: [event.action, wiki]\n")
        database = Database(stack.mariadb.endpoint(), "bench")
        write(database.sink(open_registry(None)), [(EDIT, event(1))])
        for first in range(1, args.rows, 100_000):
            last = min(first + 99_999, args.rows)
            database.ask(OLD.format(table=EDIT, first=first, last=last))
        print(f"{'':28}{'inserted':>14}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}{'load':>7}")
        with inserting(database, args.rate) as seconds:
            time.sleep(30)
        told("nothing else", seconds)
        for what, more in (("rows keep two fields", ["--keep", str(keep)]), ("rows go", [])):
            call = [*EL, "mysql", "purge", database.uri, "--older-than", "90d", "--yes", *more]
            begun = time.monotonic()
            with inserting(database, args.rate) as seconds:
                subprocess.run(call, check=True, cwd=ROOT, stderr=subprocess.DEVNULL)
            taken = time.monotonic() - begun
            told(what, seconds, f"purged {args.rows / taken:,.0f} rows/s, {taken:.0f} s")


if __name__ == "__main__":
    main()
