"""Rows into MariaDB: the sink's writer into one table and into fifteen, beside plain PyMySQL's
executemany of the same rows by 500; rounds are interleaved, each figure is the median. Then the
consumer by increments, fifteen topics at a steady rate, with all its work: broker, database and
producer share the cores of this machine.

    scripts/bench mysql [--rows N] [--rounds N] [--rate N] [--seconds N] [--workers N]
                        [--every N] [--only writer|consumer] [--profile]
"""

import cProfile
import json
import os
import pstats
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import closing

from runners.local_stack import Stack
from schemas.capsule import scid_of
from schemas.event import Destination, Event, Origin, RawLine
from schemas.registry import open_registry
from schemas.storage.sql import insert_parts, table
from schemas.storage.sql_rows import row
from traffic.consuming import TABLES, Consuming, Steady, templates
from traffic.database import Database, write
from traffic.job import wait_for
from traffic.trial import parser, temporary_stack

BATCH = 500  # rows of a statement of executemany's
Routed = list[tuple[Destination, Event]]


def events(tables: tuple[str, ...], number: int) -> Routed:
    """So many events, each with a uuid of its own, in turn for these tables."""
    made = [[json.loads(text) for text in of] for of in templates(tables).values()]
    found: Routed = []
    for place in range(number):
        turn, which = divmod(place, len(made))
        data = made[which][turn % len(made[which])] | {"uuid": f"{place:032x}"}
        origin = Origin("kafka", "t/0", place, 1.0, "t-0")
        found.append((Destination(*(scid_of(data) or ("", 0))), Event(data, RawLine(b"", origin))))
    return found


def sink(database: Database, routed: Routed) -> float:
    """Seconds of the sink's writer: events in, rows durable."""
    writer = database.sink(open_registry(None)).writer()
    began = time.perf_counter()
    bundle = writer.bundle()
    for destination, event in routed:
        bundle.add(destination, event)
    written = sum(receipt.written for receipt in bundle.commit())
    seconds = time.perf_counter() - began
    writer.close()
    assert written == len(routed)
    return seconds


def plain(database: Database, routed: Routed) -> float:
    """Seconds of executemany, a transaction for 10,000 rows; its rows are made beforehand."""
    registry, rows = open_registry(None), defaultdict(list)
    made = {to: row(registry.get(*to)) for to in {to for to, _ in routed}}
    for to, event in routed:
        rows[to].append(tuple(made[to](event.data).values()))
    with closing(database.connect(autocommit=False)) as connection:
        cursor = connection.cursor()
        began = time.perf_counter()
        for to, of in rows.items():
            before, after = insert_parts(table(registry.get(*to), to))
            places = ",".join(["%s"] * len(of[0]))
            statement = f"{before}({places}){after}"
            for place in range(0, len(of), BATCH):
                cursor.executemany(statement, of[place : place + BATCH])
                if place % 10_000 == 0:
                    connection.commit()
        connection.commit()
        return time.perf_counter() - began


def writers(address: str, number: int, rounds: int) -> None:
    """Rows a second of both, into one and into fifteen tables."""
    print(f"{'':12}{'sink':>10}{'PyMySQL':>10}{'of it':>8}   rows/s, {number:,} rows")
    for tables in (TABLES[:1], TABLES):
        routed = events(tables, number)
        found: dict[Callable[[Database, Routed], float], list[float]] = defaultdict(list)
        for _ in range(rounds):
            for way in (sink, plain):
                database = Database(address, "bench")
                empty(database, routed)
                found[way].append(number / way(database, routed))
        ours, theirs = (statistics.median(found[way]) for way in (sink, plain))
        spread = ", ".join(f"{rate:,.0f}" for rate in sorted(found[sink]))
        print(f"{len(tables):2} table(s) {ours:10,.0f}{theirs:10,.0f}{ours / theirs:8.2f}   "
              f"({spread})", flush=True)  # fmt: skip


def empty(database: Database, routed: Routed) -> None:
    """Make the tables, as the sink does."""
    first = dict(routed)
    assert write(database.sink(open_registry(None)), first.items())["written"] == len(first)
    for to in first:
        database.ask(f"TRUNCATE TABLE {to}")


def profile(address: str, number: int) -> None:
    """Where the writer's time goes."""
    database, routed = Database(address, "bench"), events(TABLES, number)
    empty(database, routed)
    with cProfile.Profile() as profiler:
        sink(database, routed)
    pstats.Stats(profiler).sort_stats("tottime").print_stats(18)


def consumer(stack: Stack, rate: int, seconds: int, every: int, workers: int) -> None:
    """Fifteen topics at a steady rate: what an increment takes of its time, and the lag of rows."""
    folder = stack.folder / "consumer"
    folder.mkdir()
    job = Consuming(stack.kafka.endpoint(), Database(stack.mariadb.endpoint(), "consumed"),
                    "bench", folder)  # fmt: skip
    job.put(15 * 20, broken=False)
    options = ("--workers", str(workers))
    with job.running(*options, every=f"{every}s") as run:
        job.wait_for(dict(job.sent))
    job.put(rate * 20, broken=False)  # while nobody reads
    with job.running(*options, every=f"{every}s") as run:
        job.wait_for(dict(job.sent), 600)
        wait_for(lambda: sum(each["totals"]["read"] for each in run.reports) >= rate * 20, 60)
        backlog = [each for each in run.reports if each["totals"]["read"] > rate]
        alone = sum(each["totals"]["read"] for each in backlog) / sum(
            each["seconds"] for each in backlog
        )
        print(f"consumer, {workers} worker(s): {rate * 20:,} events that were there at once:"
              f" {alone:,.0f} events/s; load {os.getloadavg()[0]:.1f}", flush=True)  # fmt: skip
        seen = len(run.reports)
        with Steady(job, rate, broken=False) as traffic:
            lags = traffic.lags(TABLES[:1], seconds, every=2)
        job.wait_for(dict(job.sent), 600)
    job.check()
    rounds = [each for each in run.reports[seen:] if each["totals"]["read"] > rate * every / 2]
    read = sum(each["totals"]["read"] for each in rounds)
    took = sum(each["seconds"] for each in rounds)
    late, worst = statistics.median(lags), max(lags)
    print(f"consumer, {workers} worker(s), each {every} s, {rate:,} events/s in {len(TABLES)}"
          f" topics for {seconds} s: {len(rounds)} increments, {read / took:,.0f} events/s:"
          f" {rate * took / read:.0%} of the time; rows are there after {late:.0f} s in the middle,"
          f" {worst:.0f} s at most; load {os.getloadavg()[0]:.1f}", flush=True)  # fmt: skip


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--rows", type=int, default=60_000)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--rate", type=int, default=10_000, help="events a second")
    options.add_argument("--seconds", type=int, default=120, help="of the consumer")
    options.add_argument("--every", type=int, default=10, help="seconds of an increment")
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--only", choices=("writer", "consumer"), help="of the two")
    options.add_argument("--profile", action="store_true", help="the writer's, and nothing else")
    args = options.parse_args()
    print(f"load before {os.getloadavg()[0]:.1f}", flush=True)
    with temporary_stack("kafka", "mariadb") as stack:
        if args.profile:
            profile(stack.mariadb.endpoint(), args.rows)
            return
        if args.only != "consumer":
            writers(stack.mariadb.endpoint(), args.rows, args.rounds)
        if args.only != "writer":
            consumer(stack, args.rate, args.seconds, args.every, args.workers)


if __name__ == "__main__":
    main()
