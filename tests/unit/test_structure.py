"""The shape of the project: which way imports go, what is packaged, how long a file may be.

Nothing is imported here: the sources are read as syntax trees, so that a rule also holds for what
only runs on a cluster.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import re
import runpy
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import setuptools

ROOT = Path(__file__).resolve().parents[2]
MAY_IMPORT: dict[str, set[str]] = {
    "schemas": set(),
    "transforms": {"schemas"},
    "runners": {"schemas"},  # runners are told what to run, they never ask
    "el_beam": {"schemas", "transforms", "runners"},
}
"""Our packages, and which others of them each may import."""

NETWORK = {
    *("aiohttp", "asyncio", "confluent_kafka", "ftplib", "google", "grpc", "hdfs", "http"),
    *("httplib2", "httpx", "kafka", "pymysql", "requests", "smtplib", "socket", "socketserver"),
    *("ssl", "urllib.request", "urllib3", "websockets", "xmlrpc"),
}
"""What talks to a network. `urllib.parse` does not."""

CLIENTS = {"apache_beam", "confluent_kafka", "hdfs", "pyarrow", "pymysql", "sqlalchemy"}
"""What takes long to import, or may be missing."""

URLLIB = {"urllib", "http.client.HTTPException", "http.client.IncompleteRead"}
"""The registry's one client, and what it raises."""

FLOORS: dict[str, tuple[str, ...]] = {
    ".": ("el_beam", "runners transforms", "schemas"),
    "schemas": (
        "storage",
        "registry",
        "validation",
        "line_format bad_event",
        "event user_agent strict_json",
        "capsule addresses durable",
        "errors times",
    ),
    "schemas.registry": ("opening", "mediawiki", "folder", "base documents"),
    "schemas.validation": (
        "validator",
        "documents",
        "draft3 fast_path references",
        "verdict_writer judged messages",
        "patterns",
        "backtracking",
    ),
    "schemas.storage": ("sql_rows", "arrow sql", "table_names", "columns"),
    "transforms": (
        "counts",
        "write",
        "window stages",
        "route validate",
        "read parse",
        "line_time",
        "io batches layout progress",
        "errors",
    ),
    "transforms.io": ("files kafka mysql", "retry secrets", "world"),
    "transforms.io.files": ("filesystem", "beam hdfs local", "base"),
    "transforms.io.kafka": ("broker producer", "errors", "cluster"),
    "transforms.io.mysql": ("client", "server"),
    "transforms.read": (
        "kafka_ranges kafka",
        "lines",
        "stages files offsets",
        "kafka_batch receipt",
    ),
    "transforms.write": (
        "events mysql kafka encodings stdout",
        "files tables mysql_table topics",
        "sink",
    ),
    "transforms.counts": ("stages", "summary totals", "count definitions"),
    "runners": (
        "beam_options",
        "direct flink spark local_stack",
        "local_pool",
        "worker_pool job_server flink_rest preflight loopback",
        "forkserver jars beam_private",
        "orphans programs",
        "addresses encoding memory user_folders",
    ),
    "runners.local_stack": ("stack", "flink hdfs kafka mariadb spark workers", "component"),
    "el_beam": (
        "cli",
        "commands",
        "upkeep intake watching",
        "config",  # what runs a job gets values, no options
        "running",
        "connectors",
        "books",
        "pipeline",
        "job",
        "uris terminal advice",
    ),
    "el_beam.commands": (
        "run backfill bad check compact find forward jars jobs ledger mysql purge reconcile "
        "schema stack state",
        "common",
    ),
    "el_beam.connectors": (
        "event_errors find reconcile",
        "registry",
        "files kafka mysql sqlite stdio",
        "table_store",
        "contract",
    ),
    "el_beam.config": ("assemble alike", "run_config", "options", "apart"),
    "el_beam.upkeep": ("mysql backfill", "retention replay", "compaction"),
    "el_beam.running": ("increments streaming", "bounded", "failures process hooks"),
    "el_beam.running.increments": (
        "increments",
        "intents",
        "folders jobs report topics",
        "planning",
    ),
    "el_beam.books": ("ledger", "state", "imports", "log folder"),
}
"""The rooms and modules of each package from the top floor down: what is on one line imports
nothing of its own line and of those above. A package that isn't named is one floor without circles.
"""

WITH_BEAM = {
    "el_beam.pipeline",
    "el_beam.running.increments.increments",  # it has workers of its own
    "el_beam.running.increments.jobs",  # as it ends those that are left
    "el_beam.running.streaming.submit",
    "runners.beam_options",
    "runners.beam_private",
    "runners.direct",
    "runners.flink",
    "runners.job_server",
    "runners.local_pool",
    "runners.spark",
    "runners.worker_pool",
    "transforms.batches",
    "transforms.counts.stages",
    "transforms.io.files.beam",
    "transforms.read.stages",
    "transforms.stages",
    "transforms.window",
    "transforms.write.events",
}
"""The modules whose import takes the seconds that Beam's takes. What reads back what was written
(`el ledger`, `find`, `state`) is made of the others."""

MOST_ROOMS = 14  # that el_beam/ shows at its top

LONGEST = 400  # lines of a module
LONGER: dict[str, str] = {}
"""Modules that may be longer, and why (`schemas/x.py`: a sentence)."""

MODULES = sorted(path for package in MAY_IMPORT for path in (ROOT / package).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def name_of(path: Path) -> str:
    """`el_beam/books/__init__.py` -> `el_beam.books`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imports(path: Path, at_import_only: bool = False) -> tuple[str, ...]:
    """Full dotted names that a file imports: `from a import b` gives `a.b`.

    With `at_import_only` those in functions and under TYPE_CHECKING are left out."""
    return tuple(_imports(path, at_import_only))


def _imports(path: Path, at_import_only: bool) -> Iterator[str]:
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{source_of(node, path)}.{alias.name}" for alias in node.names)
        elif at_import_only and is_later(node):
            continue
        waiting += ast.iter_child_nodes(node)


def source_of(node: ast.ImportFrom, path: Path) -> str:
    """The module of a `from` import, a relative one made absolute."""
    if not node.level:
        return node.module or ""
    above = path.relative_to(ROOT).parts[: -node.level]
    return ".".join([*above, *([node.module] if node.module else [])])


def is_later(node: ast.AST) -> bool:
    """True for code that does not run when its module is imported."""
    if isinstance(node, ast.If):
        return "TYPE_CHECKING" in ast.dump(node.test)
    return isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))


def within(name: str, modules: set[str]) -> bool:
    """True if a dotted name is one of the modules, or something in one of them."""
    parts = name.split(".")
    return any(".".join(parts[:end]) in modules for end in range(1, len(parts) + 1))


def short(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_go_one_way(package: str) -> None:
    allowed = MAY_IMPORT[package] | {package}
    wrong = [
        f"{short(path)} imports {name}"
        for path in (ROOT / package).rglob("*.py")
        for name in imports(path)
        if name.split(".")[0] in MAY_IMPORT and name.split(".")[0] not in allowed
    ]
    assert not wrong


def graph() -> dict[str, set[str]]:
    """Each module of ours, and those that it imports, wherever in it: also in functions, also for
    types alone. The command line imports commands by their names."""
    known = {name_of(path) for path in MODULES}
    found: dict[str, set[str]] = {}
    for path in MODULES:
        modules = found.setdefault(name_of(path), set())
        for name in imports(path):
            module = name if name in known else name.rpartition(".")[0]
            if module in known and module != name_of(path):
                modules.add(module)
    found["el_beam.cli"] |= {name for name in known if name.startswith("el_beam.commands.")}
    return found


def circles(edges: dict[str, set[str]]) -> list[str]:
    """A circle of imports from each module that is in one."""
    found = []
    for start in edges:
        trails = [[start]]
        seen: set[str] = set()
        while trails:
            trail = trails.pop()
            for module in edges[trail[-1]] - seen:
                if module == start:
                    found.append(" -> ".join([*trail, start]))
                    trails.clear()
                    break
                seen.add(module)
                trails.append([*trail, module])
    return found


def climbs(edges: dict[str, set[str]], floors: dict[str, tuple[str, ...]]) -> list[str]:
    """Imports that don't go down a floor, in the rooms of which `floors` says them."""
    level = {
        f"{package}.{room}".removeprefix(".."): number
        for package, lines in floors.items()
        for number, line in enumerate(lines)
        for room in line.split()
    }
    found = []
    for importer, imported in ((a, b) for a in edges for b in edges[a]):
        mine, theirs = importer.split("."), imported.split(".")
        same = next((n for n, (a, b) in enumerate(zip(mine, theirs, strict=False)) if a != b), None)
        if same is None or ".".join(mine[:same] or ".") not in floors:
            continue  # a package and what is in it, or one without floors
        if level[".".join(mine[: same + 1])] >= level[".".join(theirs[: same + 1])]:
            found.append(f"{importer} imports {imported}")
    return found


def test_no_imports_go_in_circles() -> None:
    assert not circles(graph())


def test_imports_go_down_the_floors() -> None:
    assert not climbs(graph(), FLOORS)


@pytest.mark.parametrize("package", FLOORS)
def test_each_room_is_on_a_floor(package: str) -> None:
    rooms = [room for line in FLOORS[package] for room in line.split()]
    prefix = "" if package == "." else f"{package}."
    there = {name.removeprefix(prefix).split(".")[0] for name in graph() if name.startswith(prefix)}
    assert sorted(rooms) == sorted(there)


def test_circles_and_climbs_are_found() -> None:
    edges = {"p.a.x": {"p.b.y"}, "p.b.y": {"p.a.z"}, "p.a.z": {"p.a.x"}, "p.c": {"p.a.x"}}
    assert len(circles(edges)) == 3 and "p.c" not in "".join(circles(edges))
    assert climbs(edges, {"p": ("c", "a", "b")}) == ["p.b.y imports p.a.z"]
    assert not circles({"p.a": {"p.b"}, "p.b": set()})


WALKS = re.findall(
    r"(?:^\d+\. `.*\n)+",
    (ROOT / "docs/DESIGN.md").read_text().partition("\n## Two walks\n")[2].partition("\n## ")[0],
    re.MULTILINE,
)


def missteps(walk: list[str], edges: dict[str, set[str]]) -> list[str]:
    """What is wrong with a walk through modules: a second visit, a jump, a climb back."""
    found = [f"{name} is visited twice" for name in {*walk} if walk.count(name) > 1]
    for number, name in enumerate(walk[1:], 1):
        before = walk[:number]
        known = {below for each in before for below in edges[each]}
        known |= {below for face in known for below in edges.get(face, ())}  # a room's face
        if name not in known:
            found.append(f"{name} is imported by none before it")
        if name.startswith("el_beam"):
            found += [f"{name} imports {each}" for each in before if each in edges[name]]
    return found


@pytest.mark.parametrize("walk", WALKS)
def test_walks_go_down(walk: str) -> None:
    files = re.findall(r"^\d+\. `([^`]+)`", walk, re.MULTILINE)
    assert len(files) > 5 and not [each for each in files if not (ROOT / each).exists()]
    assert not missteps([name_of(ROOT / each) for each in files], graph())


def test_missteps_are_found() -> None:
    assert len(WALKS) == 2
    edges = {"el_beam.a": {"el_beam.b"}, "el_beam.b": {"el_beam.a"}, "el_beam.c": set[str]()}
    assert missteps(["el_beam.a", "el_beam.b", "el_beam.c", "el_beam.a"], edges) == [
        "el_beam.a is visited twice",
        "el_beam.b imports el_beam.a",
        "el_beam.c is imported by none before it",
        "el_beam.a imports el_beam.b",
    ]


def test_el_beam_shows_few_rooms() -> None:
    names = {path.name for path in (ROOT / "el_beam").iterdir()}
    assert len(names - {"__init__.py", "py.typed", "__pycache__"}) <= MOST_ROOMS


def test_names_of_classes_are_unique() -> None:
    places: dict[str, list[str]] = {}
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(short(path))
    assert not {name: where for name, where in places.items() if len(where) > 1}


def test_errors_have_one_root() -> None:
    """A public error is an ElBeamError, or a ValueError of a line; `Rejected` and `Overlap` are
    answers, which people never see."""
    classes = {
        node.name: {ast.unparse(base).rpartition(".")[2] for base in node.bases}
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    }
    builtin = {name for name, kind in vars(builtins).items()
               if isinstance(kind, type) and issubclass(kind, BaseException)}  # fmt: skip
    wrong = {name for name, bases in classes.items() if bases & (builtin - {"ValueError"})}
    rooted = {name for name in wrong if classes[name] & classes.keys()}
    assert {name for name in wrong - rooted if name[0] != "_"} == {
        "ElBeamError", "Overlap", "Rejected"
    }  # fmt: skip


def test_only_the_command_line_prints_errors() -> None:
    """And the `main` of what is started by itself."""
    found = [
        f"{short(path)}:{call.lineno}"
        for path in MODULES
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(function, ast.FunctionDef) and function.name != "main"
        for node in ast.walk(function)
        if isinstance(node, ast.ExceptHandler)
        for call in ast.walk(node)
        if isinstance(call, ast.Call) and ast.unparse(call.func) in ("print", "sys.exit")
    ]
    assert not found


@pytest.mark.parametrize("package", ["el_beam", "transforms", "runners", "schemas"])
def test_a_face_only_re_exports(package: str) -> None:
    for path in (ROOT / package).rglob("__init__.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            constant = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            plain = isinstance(node, ast.Assign) and path.parent.parent == ROOT  # VERSION
            exported = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
            imported = isinstance(node, ast.ImportFrom)
            assert constant or plain or exported or imported, f"{short(path)}: {ast.unparse(node)}"


def test_nothing_imports_the_tests() -> None:
    # A dependency installs a top-level `tests` of its own: which one is found is a matter of luck.
    files = [*MODULES, *TESTS]
    assert not [short(path) for path in files for name in imports(path) if within(name, {"tests"})]


def test_schemas_know_no_beam() -> None:
    wrong = [
        short(path)
        for path in (ROOT / "schemas").rglob("*.py")
        if any(within(name, {"apache_beam"}) for name in imports(path))
    ]
    assert not wrong


def test_schemas_reach_no_network_but_the_registry() -> None:
    wrong = [
        f"{short(path)} imports {name}"
        for path in (ROOT / "schemas").rglob("*.py")
        for name in imports(path)
        if within(name, NETWORK)
        and not (short(path) == "schemas/registry/mediawiki.py" and within(name, URLLIB))
    ]
    assert not wrong


def reached(module: str) -> set[str]:
    """What is imported when a module is: modules of ours, and of CLIENTS."""
    known = {name_of(path): path for path in MODULES}
    found, waiting = {module}, [module]
    while waiting:
        for name in imports(known[waiting.pop()], at_import_only=True):
            parts = name.split(".")
            names = {".".join(parts[:end]) for end in range(1, len(parts) + 1)}
            new = (names & {*known, *CLIENTS}) - found
            found |= new
            waiting += new - CLIENTS
    return found


def test_only_these_import_beam() -> None:
    names = {name_of(path) for path in MODULES}
    assert {name for name in names if "apache_beam" in reached(name)} == WITH_BEAM


def test_the_command_starts_without_clients() -> None:
    # Beam takes seconds to import: `el --help` and a mistyped option must not wait for it.
    assert not reached("el_beam.cli") & CLIENTS, "setup.py's script `el` starts el_beam.cli"


CONNECTORS = [
    path
    for path in MODULES
    for node in ast.parse(path.read_text(encoding="utf-8")).body
    if isinstance(node, ast.ClassDef) and "Connector" in map(ast.unparse, node.bases)
]
CONNECTORS_MAY_IMPORT = {
    *(f"el_beam.connectors.{name}" for name in ("contract", "table_store")),
    "el_beam.uris",
}
"""What of el_beam a connector's file may import: the contract, never a capability."""


@pytest.mark.parametrize("path", CONNECTORS, ids=short)
def test_a_connector_knows_no_capability(path: Path) -> None:
    ours = [name for name in imports(path) if within(name, {"el_beam"})]
    assert not [name for name in ours if not within(name, CONNECTORS_MAY_IMPORT)]
    assert not reached(name_of(path)) & CLIENTS, "a client library is imported where it is used"


def test_connectors_are_found() -> None:
    found = {path.stem for path in CONNECTORS}
    assert found >= {"files", "kafka", "mysql", "sqlite", "stdio"}


def test_nobody_asks_for_the_class_of_a_sink() -> None:
    """What a sink is able to do is in its contract: transforms/write/sink.py."""
    found = []
    for path in (ROOT / "el_beam").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("isinstance", "getattr"):
                of, what = map(ast.unparse, node.args[:2])
                if re.search(r"\w*Sink\b", what) or re.search(r"\bsink\b", of):
                    found.append(f"{short(path)}: {ast.unparse(node)}")
    assert not found


def packaged(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What setup.py tells setuptools."""
    told: dict[str, Any] = {}
    monkeypatch.setattr(setuptools, "setup", lambda **options: told.update(options))
    monkeypatch.chdir(ROOT)
    runpy.run_path("setup.py")
    return told


def test_exactly_four_packages_are_shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    packages = packaged(monkeypatch)["packages"]
    assert {package.split(".")[0] for package in packages} == set(MAY_IMPORT)
    folders = {name_of(path) for path in MODULES if path.name == "__init__.py"}
    assert set(packages) == folders


def test_every_module_is_in_a_package() -> None:
    wrong = [short(path) for path in MODULES if not (path.parent / "__init__.py").exists()]
    assert not wrong, "a folder without __init__.py is not shipped"


def test_the_catalog_is_shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    patterns = packaged(monkeypatch)["package_data"]["schemas"]
    shipped = {path for pattern in patterns for path in (ROOT / "schemas").glob(pattern)}
    files = {path for path in (ROOT / "schemas" / "catalog").rglob("*") if path.is_file()}
    assert files and files <= shipped


def test_no_other_package_of_ours() -> None:
    folders = [path for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")]
    found = {path.name for path in folders if (path / "__init__.py").exists()}
    assert found == set(MAY_IMPORT)
    assert {path.name for path in ROOT.glob("*.py")} == {"setup.py"}
    there = {short(path) for path in (ROOT / "tests").rglob("__init__.py")}
    assert there == {"tests/lab/lab/__init__.py"}, "which is a program of its own"


def test_no_module_is_too_long() -> None:
    lines = {short(path): path.read_text().count("\n") for path in MODULES}
    too_long = {name: count for name, count in lines.items() if count >= LONGEST}
    assert too_long.keys() == LONGER.keys(), f"of {too_long}, allowed: {LONGER}"


MACHINE_PATH = re.compile(r"(?<![\w/.$}])/(?:work|root|home|Users|tmp/pytest-of-\w+)/")


def sources() -> Iterator[Path]:
    """Every text of ours that a person may read: code, scripts, settings and pages."""
    yield from (path for path in ROOT.iterdir() if path.is_file() and path.name != ".git")
    for folder in (*MAY_IMPORT, "tests", "scripts", "docs", "examples", ".ci"):
        yield from (path for path in (ROOT / folder).rglob("*") if path.is_file())


def test_no_path_of_a_machine() -> None:
    found = []
    for path in sources():
        binary = path.suffix in {".pyc", ".gz", ".png"}
        if binary or {"golden", "target"} & {*path.parts}:  # `target` is what Maven makes
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        found += [f"{short(path)}: {match[0]}" for match in MACHINE_PATH.finditer(text)]
    assert not found


@cache
def names_in(path: Path) -> set[str]:
    """What a module has at its top: definitions, values, imports, and the modules of a package."""
    found = {each.stem for each in path.parent.iterdir() if path.name == "__init__.py"}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            found |= {alias.asname or alias.name for alias in node.names}
    return found


def imported_by(source: str) -> Iterator[tuple[str, str]]:
    """(module, name) of each `from` import in a script, also in code that it holds as text."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Constant) and "import " in str(node.value):
            with contextlib.suppress(SyntaxError):
                yield from imported_by(str(node.value))


def test_what_scripts_and_tests_import_is_there() -> None:
    """mypy reads neither benches and soaks nor code that stands in texts."""
    known = {name_of(path): path for path in MODULES}
    missing = [
        f"{short(path)}: {name} of {module}"
        for path in [*(ROOT / "scripts").rglob("*.py"), *TESTS]
        for module, name in imported_by(path.read_text(encoding="utf-8"))
        if module.split(".")[0] in MAY_IMPORT
        and (module not in known or name not in {"*", *names_in(known[module])})
    ]
    assert not missing
