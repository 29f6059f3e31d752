"""Folders of one call that are inside each other, or the same: what keeps one in order would take
the other's files for its own, or for unknown ones."""

from collections.abc import Iterator, Mapping

from transforms.io.files import filesystem


def nested(folders: Mapping[str, str], state: str | None = None) -> Iterator[str]:
    """A sentence for each folder that is inside another, or that two have; `folders` are paths by
    what people call them, those of sinks and of a state."""
    places = {name: filesystem.real(path) for name, path in folders.items() if path}
    if state:
        places[f"the state {state}"] = filesystem.real(state)
    names = [*places]
    for number, name in enumerate(names):
        for other in names:
            path, above = places[name], places[other]
            if path == above and other not in names[:number]:
                continue
            if path == above and not name.startswith("the state "):
                yield f"{name} and {other} are one folder: give each its own, beside the other"
            elif f"{path}/".startswith(f"{above.rstrip('/')}/"):
                yield (
                    f"{name} is inside the folder of {other}: give each its own, beside the other; "
                    "one that is there already can be moved (docs/upgrade.md)"
                )
