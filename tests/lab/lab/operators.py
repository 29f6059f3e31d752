"""What people do when an import says that something is wrong: what it advises, as it is printed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from el_beam.books.ledger.hours import retire
from el_beam.books.state.acts import reset
from el_beam.books.state.lease import Lease
from el_beam.books.state.state import State, StateError
from lab.actors import IMPORTS, Actors
from lab.expected import Violation
from schemas.errors import ElBeamError

_COMMAND = re.compile(r"`(el (?:state reset|state new-id|ledger) [^`]+)`")


def commands_in(messages: list[str]) -> list[str]:
    """What people type who follow messages; of imports that are awaited they know that these come
    back, so they retire none."""
    found = (command for each in messages for command in _COMMAND.findall(each))
    return [*dict.fromkeys(each for each in found if not each.endswith(" ID"))]


@dataclass
class Operators(Actors):
    """People who follow messages, one after the other."""

    typed: str = ""  # the last command that lets records come again

    def told(self, slot: str) -> list[str]:
        """What is wrong, as an import says that reads what is there now."""
        try:
            return [each.text for each in self.imported(slot)[-1].problems]
        except (ElBeamError, OSError) as error:
            return [str(error)]

    def obey(self, slot: str) -> None:
        """Stop all, see what an import says, do that, and see that it goes on."""
        self.stop_all()
        self.world.wait(40)  # until a lease is free on whatever machine
        commands = commands_in(self.told(slot))
        self.type(*commands)
        if commands:
            self.told(slot)
            for command in commands:
                self._asked(slot, command)

    def type(self, *commands: str) -> None:
        """Do what commands do, one after the other."""
        for command in commands:
            self.world.wait(10)  # it takes a moment
            _, what, *rest = shlex.split(command)
            if what == "ledger":
                if "--retire" in rest:
                    retire(rest[0], rest[-1])
                continue
            action, path, *rest = rest
            if action == "new-id":
                self.finish("new-id", partial(self._new_id, path))
            else:
                topic, to = (rest[rest.index(name) + 1] for name in ("--topic", "--to"))
                after = int(rest[rest.index("--after") + 1]) if "--again" in rest else None
                self.typed = self.typed if after is None else command
                self.finish("reset", partial(self._reset, path, topic, dict(_ends(to)), after))

    def retype(self) -> None:
        """Somebody finds that command in a terminal, later, and isn't sure that it was done."""
        self.stop_all()
        self.world.wait(40)
        with suppress(StateError):
            self.type(*filter(None, [self.typed]))

    def _asked(self, slot: str, command: str) -> None:
        if " --again " in command:
            found = re.search(r"--topic (\S+) --to (\S+)", command)
            assert found
            names = self.sinks if slot.startswith("A") else "pr"
            self.asked(names, IMPORTS[slot][1], found[1], dict(_ends(found[2])))

    def _new_id(self, path: str) -> None:
        state = State(path)
        with Lease(state, self.world.clock, self.world.tables):
            state.new_id()

    def _reset(self, path: str, topic: str, ends: dict[int, int], after: int | None) -> None:
        state = State(path)
        with Lease(state, self.world.clock, self.world.tables):
            reset(state, topic, ends, again=after is not None, after=after)

    def recover(self) -> None:
        """All imports go on, if people do what these say, though one may await others first."""
        slots = [slot for slot in ("A", "B", "D")
                 if slot != "D" or self.state_of(slot) in self.world.disk.folders]  # fmt: skip
        for _ in range(3):
            gone_on = [self._recover(slot) for slot in slots]
            if all(gone_on):
                return
            self.world.wait(700)
        raise Violation("an import awaits others that have gone on")

    def _recover(self, slot: str) -> bool:
        """False where it only awaits other imports."""
        for left in range(5, -1, -1):
            copy = slot == "D" and self._is_copy()
            problems = self.told(slot)
            if copy and not any("new-id" in each for each in problems):
                raise Violation(f"a copy of a state works beside it: {problems}")
            if not problems:
                self.check_told(IMPORTS[slot][1])
                return True
            if all("haven't passed it" in each for each in problems):
                return False
            commands = commands_in(problems)
            if not left or not (commands or all(map(_passes, problems))):
                raise Violation(f"{slot} doesn't go on: {problems}")
            self.type(*commands)
            self.world.wait(700)
            if any("--again" in each for each in commands):
                problems = self.told(slot)
                for command in commands:
                    self._asked(slot, command)
        raise AssertionError

    def _is_copy(self) -> bool:
        one, other = (State(self.state_of(slot)).known_id() for slot in ("A", "D"))
        return bool(one) and one == other


def _passes(problem: str) -> bool:
    return "try again" in problem or "stays open" in problem


def _ends(to: str) -> Iterator[tuple[int, int]]:
    for pair in to.split(","):
        partition, offset = pair.split(":")
        yield int(partition), int(offset)
