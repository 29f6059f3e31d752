"""What an import and a backfill are measured with: the runners, and beside them a loop without Beam
that reads the same lines and writes the same Parquet, in a process of its own.

    scripts/quietly.py scripts/traffic/loop.py FOLDER FILES
    scripts/quietly.py scripts/traffic/loop.py FOLDER BROKERS TOPIC
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

from runners.local_stack import Stack
from schemas.event import RawLine
from schemas.registry import open_registry
from traffic.started import ROOT
from traffic.truth import worked
from transforms.io.kafka.broker import KafkaTopics
from transforms.io.kafka.cluster import KafkaCluster
from transforms.read.kafka_ranges import read_ranges, splits_of
from transforms.read.lines import FileSource
from transforms.read.offsets import OffsetRange
from transforms.write.encodings import ParquetEncoding
from transforms.write.files import FileSink, publish

FEW = 20  # lines whose seconds are a job's start-up


def runners(stack: Stack, only: str | None) -> Iterator[tuple[str, list[str], dict[str, str]]]:
    """Name, options of `el` and environment of each runner; `only` has beginnings of names."""
    two = ["--workers", "2"]
    pool = {"SPARK": stack.spark.endpoint(), "WORKERS": stack.workers.endpoint()}
    all_of_them: list[tuple[str, list[str], dict[str, str]]] = [
        ("direct, 1 worker", [], {}),
        ("direct, 2 workers", two, {}),
        ("Flink [local], 2", ["--runner", "flink", *two], {"FLINK": "[local]"}),
        ("Spark local[2]", ["--runner", "spark", *two], {"SPARK": "local[2]"}),
        ("Spark standalone, 2", ["--runner", "spark", *two], pool),
    ]
    for name, options, environment in all_of_them:
        if not only or name.lower().startswith(tuple(only.lower().split(","))):
            yield name, options, environment


def loop(*arguments: str) -> float:
    """Lines a second of the loop."""
    call = [sys.executable, "scripts/quietly.py", __file__, *arguments]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT}/scripts"}
    done = subprocess.run(
        call, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    return float(done.stdout)


def show(loops: list[float]) -> None:
    """Print what all loops took."""
    print(f"loop without Beam: {statistics.median(loops):,.0f} lines/s "
          f"({min(loops):,.0f} - {max(loops):,.0f})")  # fmt: skip


def records(brokers: str, topic: str) -> Iterator[RawLine]:
    """All that is in a topic of four partitions now."""
    cluster = KafkaCluster(brokers)
    bounds = KafkaTopics(cluster).bounds({topic: 4})
    ranges = [OffsetRange(number, *bound) for (_, number), bound in bounds.items()]
    splits = splits_of(topic, 1, ranges)
    return (line for split in splits for line in read_ranges(cluster, split))


def main(folder: str, source: str, *topic: str) -> None:
    lines = records(source, *topic) if topic else FileSource((source,)).read()
    sink = FileSink("parquet", folder, ParquetEncoding(open_registry(None)), "loop")
    sink.prepare()
    events = worked(lines)
    number, began = 0, time.monotonic()
    bundle = sink.writer().bundle()
    for to, event, _ in events:
        bundle.add(to, event)
        number += 1
    publish(each.file for each in bundle.commit() if each.file)
    print(number / (time.monotonic() - began))


if __name__ == "__main__":
    main(*sys.argv[1:])
