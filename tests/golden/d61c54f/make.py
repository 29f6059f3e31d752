"""Made the folders of folders.tar.xz, with the code of d61c54f: see README.md.

cd A_CLONE_AT_d61c54f && PYTHONPATH=. .venv/bin/python PATH/make.py BROKERS FOLDER
"""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

KAFKA, ROOT = sys.argv[1], Path(sys.argv[2])
KILL = """
import os, sys
import el_beam.{module} as module
real, calls = module.{name}, []
def die(*args, **more):
    calls.append(args)
    if len(calls) == {call}:
        if {after}:
            real(*args, **more)
        os._exit(9)
    return real(*args, **more)
module.{name} = die
from el_beam.cli import main
sys.exit(main(sys.argv[1:]))
"""


def el(*words: str | Path, expected: int = 0, program: str = "") -> None:
    """Run `el`, or a program that kills it on its way."""
    call = [sys.executable, *(["-c", program] if program else ["-m", "el_beam.cli"])]
    done = subprocess.run([*call, *map(str, words)], stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == expected, done


def killed(module: str, name: str, *words: str | Path, call: int = 1, after: bool = False) -> None:
    """Run `el`; it dies where it calls a function for this time, or just after that."""
    program = KILL.format(module=module, name=name.partition(".")[0], call=call, after=after)
    if "." in name:
        cls, _, method = name.partition(".")
        program = program.replace(f"module.{cls}", f"module.{cls}.{method}")
    el(*words, expected=9, program=program)


def lines() -> tuple[list[bytes], list[bytes]]:
    """Two small logs, of two hours: events of one schema, and bad lines."""
    sample = gzip.decompress(Path("examples/sample.log.gz").read_bytes()).splitlines()
    good = [line for line in sample if b"%22ReadingDepth%22" in line and b"T07:" in line][:9]
    bad = [line for line in sample if b"%22ServerSideAccountCreation%22" in line][:40]
    bad = [next(line for line in bad if b"T07:" in line), b"not a line at all"]
    late = [line.replace(b"T07:", b"T08:") for line in good[5:]]
    return [*good[:3], bad[0], *late[:2]], [*good[3:5], bad[1], *late[2:]]


def put(topic: str, which: list[bytes]) -> None:
    """Put lines into a topic of one partition."""
    admin = AdminClient({"bootstrap.servers": KAFKA})
    if topic not in admin.list_topics().topics:
        admin.create_topics([NewTopic(topic, 1)])[topic].result(30)
    producer = Producer({"bootstrap.servers": KAFKA})
    for line in which:
        producer.produce(topic, line, partition=0)
    assert producer.flush(60) == 0


def main() -> None:
    ROOT.mkdir()
    logs = lines()
    for name, content in zip("ab", logs, strict=True):
        (ROOT / f"{name}.log").write_bytes(b"\n".join(content) + b"\n")
        os.utime(ROOT / f"{name}.log", (1552204800, 1552204800))
    (ROOT / "keep.yaml").write_text("ReadingDepth: [wiki, event.action]\n")

    def ran(folder: str, *schemes: str) -> None:
        sinks = [f"{scheme}:{ROOT / folder / scheme}" for scheme in schemes]
        for name in "ab":
            el("run", f"file:{ROOT / name}.log", *sinks)

    ran("bounded", "parquet", "jsonl", "raw")
    ran("compacted", "parquet")
    el("compact", ROOT / "compacted/parquet")
    ran("compacting", "parquet")
    killed("compact", "finish", "compact", ROOT / "compacting/parquet")
    ran("purged", "parquet")
    el(
        "purge",
        ROOT / "purged/parquet",
        "--older-than",
        "90d",
        "--keep",
        ROOT / "keep.yaml",
        "--yes",
    )
    ran("backfilling", "parquet", "raw")
    killed("backfill", "finish", "backfill", "apply", ROOT / "backfilling/raw",
           f"parquet:{ROOT / 'backfilling/parquet'}", "--from", "2019-03-10T07", "--to",
           "2019-03-10T08", after=True)  # fmt: skip
    el("run", f"file:{ROOT / 'a'}.log", f"jsonl:{ROOT / 'naming/jsonl'}")
    killed(
        "entries", "enter_run", "run", f"file:{ROOT / 'b'}.log", f"jsonl:{ROOT / 'naming/jsonl'}"
    )

    for folder in ("import", "intended", "decided"):
        call = ("run", f"kafka://{KAFKA}/?topics=raw-{folder}&group={folder}",
                f"parquet:{ROOT / folder / 'parquet'}", f"raw:{ROOT / folder / 'raw'}",
                "--state", ROOT / folder / "state", "--once")  # fmt: skip
        put(f"raw-{folder}", logs[0])
        el(*call)
        put(f"raw-{folder}", logs[1])
        if folder == "import":
            el(*call)
        elif folder == "intended":
            killed("state", "TopicState.decide", *call)
        else:
            killed("state", "TopicState.decide", *call, after=True)
    for lease in ROOT.rglob("lease/*.json"):  # whoever reads them is on another machine
        lease.write_text(json.dumps(json.loads(lease.read_text()) | {"host": "elsewhere"}))


main()
