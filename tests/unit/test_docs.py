"""The pages say what the code does: reasons, commands, formats, steps. Their links lead there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from el_beam.cli import parser
from el_beam.config import RunConfig, read_config
from el_beam.connectors.ends import METRICS, RAW_TOPICS, SINKS, SOURCES
from el_beam.uris import parse_uri
from schemas.bad_event import Reason
from schemas.capsule import CAPSULE
from schemas.line_format import Format, FormatError
from transforms.io.kafka.cluster import SETTINGS

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "examples/README.md")),
    *sorted(path for path in DOCS.glob("*.md") if path.name != "DESIGN.md"),  # it is ahead of us
]
SHELL_ENDS = re.compile(r"[|;&<>#]+")
NAMES = ("run", "forward", "jobs", "jobs stop", "schema", "schema show", "stack")


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
    assert list(commands(text)) == [
        "el run stdin: stdout: 2>/dev/null | head",
        "el schema list",
    ]
    assert arguments("el run stdin: 'a|b' 2>/dev/null | head") == ["el", "run", "stdin:", "a|b"]
    assert len(CALLS) > 20


@pytest.mark.parametrize("command", CALLS)
def test_every_command_is_one(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = arguments(command)[1:]
    if " ".join(given) in NAMES:
        return  # the name of a command, in a sentence
    monkeypatch.setenv("KAFKA", "localhost:9092")  # as `el stack env` does
    monkeypatch.setenv("HDFS", "hdfs://localhost:9870")
    monkeypatch.setenv("MARIADB", "localhost:3306")
    monkeypatch.setenv("DB_PASSWORD", "")
    args = parser().parse_args(given)
    uris = [uri for uri in getattr(args, "uris", []) if ":" in uri]
    for known, what, given_uris in (
        (SOURCES, "source", [*uris[:1], getattr(args, "source", None)]),
        (SINKS, "sink", [*uris[1:], getattr(args, "errors", None)]),
        (METRICS, "metrics", [getattr(args, "metrics", None)]),
        (RAW_TOPICS, "topic", [args.topic] if given[0] == "forward" else []),
    ):
        for uri in filter(None, given_uris):
            parse_uri(uri, known, what)


def links(text: str) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", text)


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as code hosts make them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", [*PAGES, ROOT / "CHANGELOG.md"], ids=shown)
def test_every_link_leads_somewhere(path: Path) -> None:
    for link in links(path.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), link


def linked(path: Path) -> set[Path]:
    text = path.read_text(encoding="utf-8")
    return {(path.parent / link.partition("#")[0]).resolve() for link in links(text)}


def test_every_page_is_linked() -> None:
    found = linked(ROOT / "README.md")
    assert not [shown(path) for path in [*DOCS.glob("*.md"), *PAGES] if path not in found
                and path.name != "README.md"]  # fmt: skip
    pictures = {path for path in DOCS.iterdir() if path.suffix != ".md"}
    assert pictures <= {target for path in PAGES for target in linked(path)}


def test_reasons() -> None:
    rows = [f"| `{each.value}` | {each.code.value} | {each.sentence} |" for each in Reason]
    wanted = "\n".join(["| reason | code | what it says |", "|---|---|---|", *rows])
    told = re.search(r"<!-- reasons.*?-->\n(.*?)\n<!-- end", page("docs/bad-events.md"), re.DOTALL)
    assert told and told[1] == wanted, f"the table must be:\n{wanted}"


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
    for head, known in (("source", SOURCES), ("sink", SINKS)):
        assert {uri.partition(":")[0] for uri in first_column(running, head)} == set(known)
        assert all(f"`{scheme}:" in readme for scheme in known), head


def test_parameters_of_kafka() -> None:
    running = page("docs/running.md")
    told = {name: first_column(running, f"kafka: {name}") for name in ("source", "sink", "setting")}
    assert told["setting"] == SETTINGS
    assert told["source"] == SOURCES["kafka"] - SETTINGS
    assert told["sink"] == SINKS["kafka"] - SETTINGS


def test_parameters_of_mysql() -> None:
    assert first_column(page("docs/mysql.md"), "parameter") == SINKS["mysql"]


def test_options() -> None:
    told = {word.split()[0] for word in first_column(page("docs/running.md"), "option")}
    names = (name.rstrip("_").replace("_", "-") for name in RunConfig.__dataclass_fields__)
    known = {f"--{name}" for name in names}
    assert known - told == {"--source", "--sinks", "--beam"}
    assert told - known == {"--config", "--dry-run", "--json", "--"}


def test_the_config_file_is_one(tmp_path: Path) -> None:
    blocks = [each for each in code_blocks(page("docs/running.md")) if "\nsinks:" in each]
    assert len(blocks) == 1
    (tmp_path / "job.yaml").write_text(blocks[0])
    options = read_config(str(tmp_path / "job.yaml"))
    assert options["workers"] == 2 and len(options["sinks"]) == 2


def test_the_config_file_of_the_continuous_job_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA", "localhost:9092")
    blocks = [each for each in code_blocks(page("docs/streaming.md")) if "\nsinks:" in each]
    assert len(blocks) == 1
    (tmp_path / "processor.yaml").write_text(blocks[0])
    options = read_config(str(tmp_path / "processor.yaml"))
    assert options["runner"] == "flink"
    parse_uri(options["source"], SOURCES, "source")
    parse_uri(options["sinks"][0], SINKS, "sink")
    parse_uri(options["metrics"], METRICS, "metrics")


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
