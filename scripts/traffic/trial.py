"""What benches and soaks share: servers of their own, arguments, mishaps in turn."""

import argparse
import random
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from runners.local_stack import Stack

SCRATCH = Path(__file__).resolve().parents[2] / ".cache" / "bench"


@contextmanager
def running(stack: Stack, *components: str) -> Iterator[Stack]:
    """These components of a stack run while the block does."""
    try:
        for _ in stack.up(components):
            pass
        yield stack
    finally:
        stack.down()


@contextmanager
def temporary_stack(*components: str) -> Iterator[Stack]:
    """A stack in a folder of its own, on the disk of this checkout. These components run; the
    folder has gone after the block."""
    SCRATCH.mkdir(parents=True, exist_ok=True)
    folder = tempfile.TemporaryDirectory(prefix="trial-", dir=SCRATCH)
    with folder as path, running(Stack(Path(path)), *components) as stack:
        yield stack


def servers(stack: Stack) -> Iterator[tuple[str, psutil.Process]]:
    """The processes of a stack that run, by name; all Python workers share one name."""
    for server in stack.processes():
        if server.pid:
            process = psutil.Process(server.pid)
            yield server.name, process
            if server.name == "workers":
                for worker in process.children(recursive=True):
                    yield "python workers", worker


def parser(doc: str | None) -> argparse.ArgumentParser:
    """For a script with this text at its head."""
    return argparse.ArgumentParser(description=(doc or "").split("\n\n")[0])


def soak_parser(doc: str | None, *, rounds: int, rate: int) -> argparse.ArgumentParser:
    """For a soak that goes through kinds of mishaps under traffic."""
    found = parser(doc)
    found.add_argument("--rounds", type=int, default=rounds)
    found.add_argument("--rate", type=int, default=rate, help="lines or events a second")
    found.add_argument("--seed", type=int, default=random.randrange(10**6))
    found.add_argument("--only", help="kinds whose names have this in them")
    return found


def in_turn(kinds: Iterable[str], args: argparse.Namespace, rng: random.Random) -> list[str]:
    """The kinds that a soak is asked for, each once a round, at random."""
    chosen = [kind for kind in kinds if (args.only or "") in kind]
    return [kind for _ in range(args.rounds) for kind in rng.sample(chosen, len(chosen))]
