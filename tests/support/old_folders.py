"""The folders that the commit d61c54f left, somewhere else: see tests/golden/d61c54f."""

import hashlib
import json
import tarfile
from pathlib import Path

from transforms.layout import file_split

HERE = Path(__file__).parents[2] / "tests/golden/d61c54f"
MADE_AT = "/tmp/el-d61c54f"


def unpack(to: Path) -> Path:
    """All of them below `to`, as if they had been made there. Returns it."""
    with tarfile.open(HERE / "folders.tar.xz") as tar:
        tar.extractall(to)
    raw = (to / "backfilling/raw").glob("year*/**/*.parquet")
    archived = [f"/{path.relative_to(to)}" for path in raw]
    splits = {file_split(MADE_AT + path, 0): file_split(f"{to}{path}", 0) for path in archived}
    imports = ["import", "intended", "decided"]
    ids = {_digest(f"{MADE_AT}/{each}/state"): _digest(f"{to}/{each}/state") for each in imports}
    for path in [*to.glob("*/*/_temporary/*")]:  # called after the paths of states
        path.rename(path.with_name(ids.get(path.name, path.name)))
    for path in [*to.rglob("*.json"), *to.rglob("*.jsonl")]:
        # Splits are called after whole paths. What was made of them keeps its name.
        names = splits if path.name.startswith("plan-") else ids
        replace(path, {**names, MADE_AT: str(to)})
        if path.name.startswith("state-"):  # what it says gives it its name
            name = _digest(json.dumps([json.loads(path.read_text())]))
            path.rename(path.with_name(f"state-{name}.json"))
    return to


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def replace(path: Path, changes: dict[str, str]) -> None:
    """Other words in a file."""
    text = path.read_text()
    for old, new in changes.items():
        text = text.replace(old, new)
    path.write_text(text)
