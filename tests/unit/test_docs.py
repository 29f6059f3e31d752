"""The pages say what the code does: reasons, commands, formats, steps. Their links lead there."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from el_beam.cli import parser
from el_beam.commands.run import RunCall
from el_beam.config.assemble import config_of
from el_beam.config.options import from_yaml, table
from el_beam.config.run_config import RunConfig
from el_beam.connectors.kafka import RAW_TOPIC
from el_beam.connectors.registry import parameters, uses
from el_beam.uris import parse_uri
from schemas.bad_event import Reason
from schemas.capsule import CAPSULE
from schemas.line_format import Format, FormatError
from transforms.counts.definitions import LINES, SINK
from transforms.counts.summary import SinkBook, Summary

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "examples/README.md")),
    *sorted(path for path in DOCS.glob("*.md") if path.name != "DESIGN.md"),  # it is ahead of us
]
RECORDS = sorted((DOCS / "decisions").glob("*.md"))
PROSE = [*PAGES, DOCS / "DESIGN.md", ROOT / "CHANGELOG.md", *RECORDS]
PACKAGES = ("schemas", "transforms", "runners", "el_beam")
SHELL_ENDS = re.compile(r"[|;&<>#]+")
NAMES = (
    "run",
    "bad list",
    "ledger",
    "forward",
    "jobs",
    "jobs stop",
    "schema",
    "schema show",
    "stack",
)


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def code_blocks(text: str) -> Iterator[str]:
    """The indented and the fenced blocks of a page."""
    yield from re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    for block in re.findall(r"(?:^\n)((?:^(?: {4}.*)?\n)+)", text, re.MULTILINE):
        yield re.sub(r"^ {4}", "", block, flags=re.MULTILINE)


def arguments(command: str) -> list[str]:
    """What the shell gives to `el`: up to a pipe, a redirection or a comment."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars="|;&<>")
    lexer.whitespace_split, lexer.commenters = True, "#"
    words: list[str] = []
    for word in lexer:
        if SHELL_ENDS.fullmatch(word):
            if words and words[-1] == "2":  # of `2>/dev/null`
                words.pop()
            break
        words.append(word)
    return words


def commands(text: str) -> Iterator[str]:
    """Each call of `el` in a page, in a block or inline."""
    for block in code_blocks(text):
        joined = block.replace("\\\n", " ")
        yield from re.findall(
            r"(?:^|\| )((?:\.venv/bin/)?el [a-z]+(?: .*)?)$", joined, re.MULTILINE
        )
    yield from re.findall(r"(?<!`)`(el [a-z]\w*(?: [^`]+)?)`", text)


CALLS = [
    pytest.param(command, id=f"{shown(path)}: {command}")
    for path in PAGES
    for command in commands(path.read_text(encoding="utf-8"))
]


def test_commands_are_found() -> None:
    text = (
        "x\n\n    zcat a | el run stdin: stdout: 2>/dev/null | head\n    el run: it failed\n"
        "\nand `el schema list`\n"
    )
    assert list(commands(text)) == ["el run stdin: stdout: 2>/dev/null | head", "el schema list"]
    assert arguments("el run stdin: 'a|b' 2>/dev/null | head") == ["el", "run", "stdin:", "a|b"]
    assert len(CALLS) > 20


@pytest.mark.parametrize("command", CALLS)
def test_every_command_is_one(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = arguments(command)[1:]
    if " ".join(given) in NAMES or given[-1] == "--help":
        return  # the name of a command, in a sentence
    monkeypatch.setenv("KAFKA", "localhost:9092")  # as `el stack env` does
    monkeypatch.setenv("HDFS", "hdfs://localhost:9870")
    monkeypatch.setenv("MARIADB", "localhost:3306")
    monkeypatch.setenv("DB_PASSWORD", "")
    args = parser().parse_args(given)
    uris = [uri for uri in getattr(args, "uris", []) if ":" in uri]
    for known, what, given_uris in (
        (parameters("source"), "source", [*uris[:1], getattr(args, "source", None)]),
        (parameters("sink"), "sink", [*uris[1:], getattr(args, "errors", None)]),
        (parameters("metrics"), "metrics", [getattr(args, "metrics", None)]),
        (RAW_TOPIC, "topic", [args.topic] if given[0] == "forward" else []),
    ):
        for uri in filter(None, given_uris):
            parse_uri(uri, known, what)


def links(text: str) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", text)


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as code hosts make them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PROSE, ids=shown)
def test_every_link_leads_somewhere(path: Path) -> None:
    for link in links(path.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), link


def test_what_is_promised_is_tested() -> None:
    text = (DOCS / "guarantees.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text)
    assert len(named) > 30
    for path, name in named:
        content = (ROOT / path).read_text(encoding="utf-8")
        assert not name or f"def {name}(" in content, f"{path}::{name}"
    promises = [line for line in text.splitlines()
                if line.startswith("| ") and not line.endswith("| shown by |")]  # fmt: skip
    assert not [line for line in promises if "`tests/" not in line]


def linked(path: Path) -> set[Path]:
    text = path.read_text(encoding="utf-8")
    return {(path.parent / link.partition("#")[0]).resolve() for link in links(text)}


def test_every_page_is_linked() -> None:
    found = linked(ROOT / "README.md")
    assert not [shown(path) for path in [*DOCS.glob("*.md"), *PAGES] if path not in found
                and path.name != "README.md"]  # fmt: skip
    index = linked(DOCS / "decisions" / "README.md") | {DOCS / "decisions" / "README.md"}
    assert set(RECORDS) <= index
    pictures = {path for path in DOCS.iterdir() if path.is_file() and path.suffix != ".md"}
    assert pictures <= {target for path in PAGES for target in linked(path)}


def assert_table(name: str, text: str, head: str, rows: list[str]) -> None:
    """The page has this table between the comments of that name."""
    table = "\n".join([head, "|---|---|---|", *rows])
    found = re.search(rf"<!-- {name}.*?-->\n(.*?)\n?<!-- end", text, re.DOTALL)
    assert found and found[1] == table, f"the table must be:\n{table}"


def test_reasons() -> None:
    rows = [f"| `{each.value}` | {each.code.value} | {each.sentence} |" for each in Reason]
    head = "| reason | code | what it says |"
    assert_table("reasons", page("docs/bad-events.md"), head, rows)


def test_metrics() -> None:
    rows = [f"| `{each.name}` | {each.unit} | {each.meaning} |" for each in (*LINES, *SINK)]
    assert_table("metrics", page("docs/delivery.md"), "| metric | unit | counts |", rows)
    summary = Summary(sinks={"x": SinkBook()}).as_json()
    assert [each.name for each in LINES] == list(summary["totals"])
    assert [each.name for each in SINK] == list(summary["sinks"][0])[1:]
    printed = page("docs/running.md")
    assert all(f"`{each.name}`" in printed for each in (*LINES, *SINK))


def first_column(text: str, head: str) -> set[str]:
    """The code words in the first column of the table whose first head is `head`."""
    table = re.search(rf"^\| {head} \|.*\n\|[-| ]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert table, head
    cells = [row.split("|")[1] for row in table[1].splitlines()]
    return {word for cell in cells for word in re.findall(r"`([^`]+)`", cell)}


def test_specifiers() -> None:
    with pytest.raises(FormatError) as error:
        Format("%q %x")
    known = set(re.findall(r"%[a-zA-Z]\b", str(error.value).partition("there are")[2]))
    told = {
        re.sub(r"\{\w+\}", "", word) for word in first_column(page("docs/events.md"), "specifier")
    }
    assert told == known


def test_the_capsule() -> None:
    assert first_column(page("docs/events.md"), "field") == set(CAPSULE["properties"])


def test_fields_of_an_event_error() -> None:
    import json

    schema = json.loads(page("schemas/catalog/EventError/14035058.json"))
    assert first_column(page("docs/bad-events.md"), "field") == set(schema["properties"])


def test_sources_and_sinks() -> None:
    running, readme = page("docs/running.md"), page("README.md")
    for head in ("source", "sink"):
        known = uses("source" if head == "source" else "sink")
        assert {uri.partition(":")[0] for uri in first_column(running, head)} == set(known)
        assert all(f"`{scheme}:" in readme for scheme in known), head
        storage = first_column(page("docs/storage.md"), "sink")
        assert head == "source" or {uri.partition(":")[0] for uri in storage} == set(known)


def test_parameters_of_kafka() -> None:
    running = page("docs/running.md")
    told = {name: first_column(running, f"kafka: {name}") for name in ("source", "sink", "setting")}
    source, sink = uses("source")["kafka"], uses("sink")["kafka"]
    assert told["setting"] == set(source.settings) == set(sink.settings)
    assert told["source"] == set(source.parameters)
    assert told["sink"] == set(sink.parameters)


def test_parameters_of_mysql() -> None:
    assert first_column(page("docs/mysql.md"), "parameter") == uses("sink")["mysql"].names


def test_options() -> None:
    wanted = "\n".join(table(RunConfig, RunCall))
    told = re.search(r"<!-- options.*?-->\n(.*?)\n<!-- end", page("docs/running.md"), re.DOTALL)
    assert told and told[1] == wanted, f"the table must be:\n{wanted}"


@pytest.mark.parametrize("name", ["docs/running.md", "docs/streaming.md"])
def test_the_config_file_is_one(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA", "localhost:9092")
    monkeypatch.chdir(ROOT)
    blocks = [each for each in code_blocks(page(name)) if "\nsinks:" in each]
    assert len(blocks) == 1
    (tmp_path / "job.yaml").write_text(blocks[0])
    config_of(RunConfig, from_yaml(str(tmp_path / "job.yaml"), RunConfig))


def test_the_picture_has_the_steps_of_the_graph() -> None:
    steps = re.findall(r'f?"(\w+)[^"]*" >>', page("el_beam/pipeline.py").replace('| f"', '| "'))
    steps += re.findall(r'f"(\w+) ', page("el_beam/pipeline.py"))
    named = re.findall(r'class="name[^"]*"[^>]*>(\w+)', page("docs/graph.svg"))
    assert set(steps) == set(named) and len(set(named)) == 9


def test_the_topology_has_the_steps_of_the_graph() -> None:
    """All but Read, which is KafkaIO there, and the Summary, which a job without an end has not."""
    steps = {"Parse", "Validate", "Route", "Window", "Write", "Count", "Metrics"}
    told = page("docs/streaming.svg")
    assert steps == set(re.findall(r'class="part[^"]*"[^>]*>(\w+)', told))
    assert steps < set(re.findall(r'class="name[^"]*"[^>]*>(\w+)', page("docs/graph.svg")))


def test_the_layout_names_every_room() -> None:
    layout = page("docs/DESIGN.md").partition("\n## Layout")[2].partition("\n## ")[0]
    rooms = {path.parent for package in PACKAGES for path in (ROOT / package).rglob("__init__.py")}
    assert not [shown(room) for room in rooms if not re.search(rf"\b{room.name}/", layout)
                and room.parent.name != "commands"]  # fmt: skip


AVOIDED = {
    r"\b(two|both|any|all|these|other|neither|of the) ends\b": "sources, sinks, stores",
    r"\b(an|each|other|neither|either|any|one) end\b(?! of)": "a source, a sink, a store",
    r"\btold\b": "is reported, the message says",
    r"\bwanted\b": "selected, the Selection",
    r"\bstrays?\b": "untracked",
    r"\bmend(s|ed|ing)?\b": "repair, correct",
    r"\bwho(m|ever)\b": "the actor's name",
    r"\b(is|are|was|were|be) (no|(?-i:none))\b(?! longer| more\b)(?<!here is no)(?<!here are no)"
    r"(?<!here was no)(?<!here were no)(?<!here is none)(?<!here are none)": "is not a",
    r"\bfaults that pass\b": "transient errors",
    r"\b(of old|in earnest)\b(?! [a-z])": "earlier, in production",
}
"""Words that docs/glossary.md retires, and what is said instead."""


def avoided(text: str) -> list[str]:
    """The retired words of a text, each with what stands around it."""
    text = " ".join(text.split())
    return [
        f"…{text[max(0, found.start() - 40) : found.end() + 20]}… -> {instead}"
        for pattern, instead in AVOIDED.items()
        for found in re.finditer(pattern, text, re.IGNORECASE)
    ]


def prose(text: str) -> str:
    """A page without what is in code, and without the glossary's list of retired words."""
    text = text.partition("## Words that we avoid")[0]
    for block in re.findall(r"^```[^`]*^```|^(?: {4}.*\n)+", text, re.MULTILINE):
        text = text.replace(block, "\n")
    return re.sub(r"`[^`]*`", "`…`", text)


def sentences(path: Path) -> Iterator[str]:
    """The docstrings and messages of a module: its strings with a blank in them."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.value


def test_avoided_words_are_found() -> None:
    bad = "It tells whoever wanted both ends, an end is no sink and no one is told of strays."
    assert len(avoided(bad)) == 7
    good = (
        "There is no such end of the list, it is no longer there; `told` ends, at both ends of it"
    )
    assert len(avoided(prose(good))) == 1  # both ends


@pytest.mark.parametrize("path", PROSE, ids=shown)
def test_pages_use_the_words_of_the_glossary(path: Path) -> None:
    assert not avoided(prose(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("package", [*PACKAGES, "scripts"])
def test_code_uses_the_words_of_the_glossary(package: str) -> None:
    found = [
        f"{shown(path)}: {word}"
        for path in sorted((ROOT / package).rglob("*.py"))
        for sentence in sentences(path)
        for word in avoided(sentence)
    ]
    assert not found


def test_a_term_has_one_meaning() -> None:
    rows = re.findall(r"^\| (.+?) \|.*\|.*\|$", page("docs/glossary.md"), re.MULTILINE)
    terms = [term for row in rows if row != "term" for term in row.split(", ")]
    assert len(terms) == len(set(terms)) > 60
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    code = "\n".join(path.read_text(encoding="utf-8") for path in files)
    names = [term.strip("`") for term in terms if term.startswith("`") and term[1].isupper()]
    assert names and all(re.search(rf"^(class )?{name}\b", code, re.MULTILINE) for name in names)
