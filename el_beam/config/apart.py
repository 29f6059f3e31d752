"""Folders of one call that are inside each other: what keeps one in order would take the other's
files for its own, or for unknown ones."""

from collections.abc import Iterator, Mapping

from transforms.io.files import filesystem


def nested(folders: Mapping[str, str], state: str | None = None) -> Iterator[str]:
    """A sentence for each folder that is inside another; `folders` are paths by what people call
    them. Two sinks may have the same one; a state has its own."""
    places = {name: filesystem.real(path) for name, path in folders.items() if path}
    if state:
        places[f"the state {state}"] = filesystem.real(state)
    for name, path in places.items():
        for other, above in places.items():
            of_state = state is not None and f"the state {state}" in (name, other)
            if name == other or (path == above and not (of_state and name > other)):
                continue
            if f"{path}/".startswith(f"{above}/"):
                yield (
                    f"{name} is inside the folder of {other}: give each its own, beside the other; "
                    "one that is there already can be moved (docs/upgrade.md)"
                )
