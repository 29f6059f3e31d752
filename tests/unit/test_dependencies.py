"""What is installed with the project: the core's libraries, extras for the rest, all pinned."""

from __future__ import annotations

import ast
import re
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest
import setuptools

from schemas.errors import ExtraMissing, need_extra

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("schemas", "transforms", "runners", "el_beam")
NAMES = {  # of distributions, by the modules that they bring, where these differ
    "confluent_kafka": "confluent-kafka",
    "apache_beam": "apache-beam",
    "dateutil": "python-dateutil",
    "re2": "google-re2",
    "ua_parser": "ua-parser",
    "yaml": "pyyaml",
}
THEIRS = {
    "google": "apache-beam",
    "grpc": "apache-beam",
    "numpy": "apache-beam",
    "requests": "hdfs",
}
"""Modules of libraries that one of ours brings, and can't be without."""


@pytest.fixture
def packaged(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What setup.py gives to setuptools."""
    options: dict[str, Any] = {}
    monkeypatch.setattr(setuptools, "setup", lambda **given: options.update(given))
    monkeypatch.chdir(ROOT)
    runpy.run_path("setup.py")
    return options


def name_of(requirement: str) -> str:
    """`PyYAML[x]>=6` -> `pyyaml`."""
    match = re.match(r"[\w.-]+", requirement)
    assert match
    return re.sub(r"[-_.]+", "-", match[0]).lower()


def test_all_is_pinned(packaged: dict[str, Any]) -> None:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    pins = {name_of(line) for line in lines if re.fullmatch(r"[\w.-]+==[\w.]+", line)}
    assert len(pins) == len([line for line in lines if line and not line.startswith("#")])
    for asked in (packaged["install_requires"], *packaged["extras_require"].values()):
        assert {name_of(each) for each in asked} <= pins


def test_no_extra_is_empty(packaged: dict[str, Any]) -> None:
    assert all(packaged["extras_require"].values())


def libraries(at_import_only: bool) -> dict[str, str]:
    """The distributions that our modules import, each with a module that does; without those that
    only a function imports, if `at_import_only`."""
    found: dict[str, str] = {}
    for path in [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]:
        waiting: list[ast.AST] = [ast.parse(path.read_text())]
        while waiting:
            node = waiting.pop()
            if at_import_only and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for module in {name.partition(".")[0] for name in names}:
                name = THEIRS.get(module) or NAMES.get(module) or module
                if name not in sys.stdlib_module_names and name not in PACKAGES:
                    found[name] = str(path.relative_to(ROOT))
            waiting += ast.iter_child_nodes(node)
    return found


def test_what_is_imported_is_installed(packaged: dict[str, Any]) -> None:
    core = {name_of(each) for each in packaged["install_requires"]}
    extras = {name_of(each) for extra, asked in packaged["extras_require"].items()
              if extra != "test" for each in asked}  # fmt: skip
    at_import, ever = libraries(at_import_only=True), libraries(at_import_only=False)
    assert not {name: path for name, path in at_import.items() if name not in core}
    assert not {name: path for name, path in ever.items() if name not in core | extras}
    assert core <= ever.keys(), "the core installs what nothing imports"


def test_without_an_extra_a_sentence_says_so() -> None:
    need_extra("gcp", "json.decoder", "gs://")
    for module in ("nowhere", "nowhere.storage", "json.nothing"):
        with pytest.raises(ExtraMissing) as error:
            need_extra("gcp", module, "gs://")
        assert str(error.value) == "gs:// needs the extra gcp: pip install 'el_beam[gcp]'"
        assert error.value.exit_code == 2
