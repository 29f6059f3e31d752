"""What a seed stands for."""

import random
from collections.abc import Callable
from typing import Final

from lab.expected import Step

_RAW: Final = [("one", "raw", 0), ("one", "raw", 1), ("one", "side", 0), ("two", "raw", 0)]
_SLOTS: Final = ["A", "A2", "B", "C", "C2", "P", "U", "F", "F2"]
_Act = Callable[[random.Random], list[Step]]
_ACTS: Final[dict[str, _Act]] = {
    "move": lambda _: [("move",)],
    "state": lambda chance: [chance.choice([("backup",), ("backup",), ("restore",), ("lose",)])],
    "power": lambda chance: [("power", chance.randrange(2))],
    "clocks": lambda chance: [("skew", chance.randrange(2), chance.choice([-100, 100, 3000]))],
    "expire": lambda chance: [("expire", *chance.choice(_RAW), chance.randint(1, 12))],
    "remake": lambda chance: [
        chance.choice([("remake", "one", "side", 1), ("remake", "one", "raw", 2)])
    ],
    "sinks": lambda chance: [("sinks", chance.choice(["pr", "pqr", "pqr"]))],
    "folders": lambda chance: [(chance.choice(["keep", "keep", "back"]), chance.choice("ppqr"))],
    "choose": lambda chance: [("choose", chance.choice(["", "Lab", "Other"]))],
    "copy": lambda chance: [chance.choice([("copy",), ("obey", "D")])],
    "apart": lambda _: [("apart",)],
    "vanish": lambda _: [("vanish",)],
    "cut": lambda chance: [
        chance.choice([("retype",), *3 * [("cut", *chance.choice(_RAW), chance.randint(1, 8))]])
    ],
}


def steps_of(seed: int) -> list[Step]:
    """The steps of a seed's history."""
    chance = random.Random(seed)
    calm = chance.random() < 0.4  # nothing but kills
    acts = chance.sample([*_ACTS], chance.randint(1, 4))  # what happens there, often together
    found: list[Step] = [("put", "one", "raw", 0, chance.randint(1, 8), 0)]
    slots = [*chance.sample(_SLOTS, chance.randint(2, 5)), "A"]
    if "copy" in acts and not calm:
        slots.append("D")
    for _ in range(chance.randint(5, 40)):
        kind = chance.choices(
            ["go", "put", "kill", "orphan", "orphans", "wait", "pause", "act", "obey"],
            [50, 15, 9, 5, 3, 8, 5, 0 if calm else 15, 0 if calm else 6],
        )[0]
        slot = chance.choice(slots)
        if kind == "go":
            found.append(("go", slot, int(2 ** chance.uniform(0, 10))))
        elif kind == "orphan":
            found.append(("orphan", slot, int(2 ** chance.uniform(0, 6))))
            found.append(("go", chance.choice(slots), int(2 ** chance.uniform(0, 10))))
            found.append(("orphans", int(2 ** chance.uniform(0, 8))))
        elif kind == "orphans":
            found.append(("orphans", int(2 ** chance.uniform(0, 8))))
        elif kind == "put":
            place = chance.choice(_RAW)
            if chance.random() < 0.1:
                found.append(("bad", *place))
            else:
                found.append(("put", *place, chance.randint(1, 8), chance.randrange(2)))
        elif kind == "wait":
            found.append(("wait", chance.choice([10, 40, 70, 700, 4000])))
        elif kind == "obey":
            found.append(("obey", chance.choice("AAABD")))
        elif kind == "act":
            found += _ACTS[chance.choice(acts)](chance)
        else:
            found.append((kind, slot))
    return _with_transactions(found, seed) if seed % 5 == 2 else found


def _with_transactions(found: list[Step], seed: int) -> list[Step]:
    """Other steps, with transactions between them that may end before the history does."""
    chance = random.Random(f"transactions {seed}")
    for _ in range(chance.randint(1, 3)):
        place, begin = chance.choice(_RAW), chance.randrange(len(found))
        end = chance.randint(begin, 2 * len(found))
        found = [*found[:begin], ("begin", *place), *found[begin:end], ("commit", *place),
                 *found[end:]]  # fmt: skip
    return found
