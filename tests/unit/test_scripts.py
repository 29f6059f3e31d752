"""The scripts: `scripts/help` has a line for each, and each names its parts."""

import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_help_has_a_line_for_each_script() -> None:
    scripts = sorted(path.name for path in (ROOT / "scripts").iterdir() if path.is_file())
    done = subprocess.run([ROOT / "scripts" / "help"], capture_output=True, text=True, check=True)
    lines = [re.fullmatch(r"scripts/(\S+) +([A-Z].*\.)", line) for line in done.stdout.splitlines()]
    assert [line and line[1] for line in lines] == scripts, done.stdout


def test_every_bench_and_soak_is_named() -> None:
    for script in ("bench", "soak"):
        text = (ROOT / "scripts" / script).read_text()
        parts = {path.stem for path in (ROOT / "scripts").glob(f"{script}*s/[a-z]*.py")}
        parts |= {path.stem for path in (ROOT / "scripts").glob(f"{script}es/[a-z]*.py")}
        assert set(re.findall(rf"^#     scripts/{script} (\w+)", text, re.MULTILINE)) == parts


def test_an_environment_of_another_checkout_is_left_alone(tmp_path: Path) -> None:
    """A `.venv` that is a link: to make a new one would empty what it leads to."""
    theirs, mine = tmp_path / "theirs", tmp_path / "mine"
    theirs.mkdir()
    (theirs / "kept").touch()
    for name in ("scripts/setup-env", "requirements.txt", "setup.py", "schemas/__init__.py"):
        (mine / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, mine / name)
    (mine / ".venv").symlink_to(theirs)
    done = subprocess.run(
        ["scripts/setup-env"], cwd=mine, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and "is a link" in done.stderr
    assert (theirs / "kept").exists()
