"""`el`: help at once, exit codes, what people see; in a process of its own where that matters."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from run_configs import run_config

from el_beam import cli
from el_beam.commands import run
from el_beam.config.options import ConfigError
from el_beam.config.run_config import RunConfig
from el_beam.running.process import diverted
from el_beam.terminal.console import printable
from schemas.event import Destination
from schemas.storage.table_names import apart_table

EL = [sys.executable, "-m", "el_beam.cli"]
ROOT = Path(cli.__file__).parents[1]


def el(*arguments: str) -> int:
    """The exit code of a call in this process."""
    try:
        return cli.main(arguments)
    except SystemExit as error:
        return int(error.code or 0)


def test_help_answers_at_once() -> None:
    def seconds() -> float:
        """Of the processor: what else the machine does is no fault."""
        started = children()
        found = subprocess.run(
            [*EL, "--help"], capture_output=True, text=True, cwd=ROOT, check=True
        )
        assert "Exit codes: 0 done, 1 the job failed, 2 the call was wrong." in found.stdout
        return children() - started

    def children() -> float:
        used = os.times()
        return used.children_user + used.children_system

    assert min(seconds() for _ in range(3)) < 0.7


@pytest.mark.parametrize(
    "command", [[], ["run"], ["schema"], ["schema", "list"], ["schema", "show"]]
)
def test_every_command_has_help(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert el(*command, "--help") == 0
    assert "usage: el" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ([], "el: the following arguments are required: COMMAND"),
        (["nope"], "el: argument COMMAND: invalid choice: 'nope'"),
        (["run", "--nope"], "el: unrecognized arguments: --nope"),
        (["run", "file:a", "--format"], "el run: argument --format: expected one argument"),
        (["schema"], "el schema: the following arguments are required: ACTION"),
        (["schema", "show"], "el schema show: the following arguments are required: NAME"),
    ],
)
def test_a_wrong_call_istold_in_two_lines(
    call: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert el(*call) == 2
    out, err = capsys.readouterr()
    assert err.startswith(says) and err.count("\n") == 2 and "--help'." in err
    assert out == ""


def test_an_option_is_never_guessed(capsys: pytest.CaptureFixture[str]) -> None:
    assert el("run", "file:a", "jsonl:b", "--work", "2") == 2
    assert "unrecognized arguments: --work" in capsys.readouterr().err


def test_schema_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert el("schema", "list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split() == ["Edit", "13457736", "17541122"] for line in lines)
    assert el("schema", "list", "--json") == 0
    listed = json.loads(capsys.readouterr().out)
    assert {"schema": "EventError", "revision": 14035058} in listed


def test_schema_show(capsys: pytest.CaptureFixture[str]) -> None:
    assert el("schema", "show", "Edit") == 0
    latest = capsys.readouterr().out
    assert el("schema", "show", "Edit/17541122") == 0
    assert capsys.readouterr().out == latest
    assert "In SQL:" in latest and "CREATE TABLE" in latest and "Edit_17541122" in latest
    assert el("schema", "show", "Edit/13457736", "--json") == 0
    earlier = capsys.readouterr().out
    assert "properties" in json.loads(earlier)
    for name in ("Edit_13457736", "edit_13457736", "eventlogging_Edit_13457736"):
        assert el("schema", "show", name, "--json") == 0
        assert capsys.readouterr().out == earlier
    for name in ("EDIT", "event_edit", "event.Edit", "eventlogging_Edit", "Edit%5F17541122"):
        assert el("schema", "show", name) == 0
        assert capsys.readouterr().out == latest


def test_schemas_are_shown_by_the_names_of_their_tables_and_folders(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a/b.c", "_x", "A/b.c", "Twice", "event_x"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "3.json").write_text(f'{{"title": "{name} ☃\\ud800"}}')
    for shown, name in [
        *(("a%2Fb.c_3", "a/b.c"), ("A%2Fb.c_3", "A/b.c"), ("%5Fx_3", "_x"), ("_x_3", "_x")),
        *(("twice", "Twice"), ("event_x", "event_x"), ("event_x_3", "event_x"), ("x_3", "_x")),
    ]:
        assert el("schema", "show", shown, "--json", "--schemas", str(tmp_path)) == 0
        assert json.loads(capsys.readouterr().out)["title"].startswith(f"{name} ")
    assert el("schema", "show", "a_b_c_3", "--schemas", str(tmp_path)) == 1
    assert "'a_b_c_3' may be A/b.c/3, a/b.c/3; `el schema list`" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("call", "code", "says"),
    [
        (["show", "Nope"], 1, "there is no schema 'Nope'; `el schema list` shows what there is"),
        (["show", "Edit/5"], 1, "there is no schema 'Edit' revision 5; `el schema list`"),
        (["show", "Edit/" + "9" * 5000], 1, "there is no schema"),
        (["show", "a/b"], 1, "there is no schema 'a/b'"),
        (["show", ""], 1, "there is no schema ''"),
        (["show", "\x1b[31m"], 1, "there is no schema '\\x1b[31m'"),
        (["list", "--schemas", "nope"], 2, "nope: there is no such folder of schemas"),
        (["show", "Edit", "--schemas", "nope"], 2, "nope: there is no such folder of schemas"),
    ],
)
def test_schemas_that_are_not_there(
    call: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert el("schema", *call) == code
    out, err = capsys.readouterr()
    assert err.startswith(f"el schema {call[0]}: {says}") and err.count("\n") == 1
    assert out == ""


def test_unusable_schemas_aretold(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, text in (("A", "{}"), ("B", "{")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.json").write_text(text)
    assert el("schema", "list", "--schemas", str(tmp_path)) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[0].split() == ["A", "1"]
    assert err.startswith("el schema list: unusable: schema B revision 1: ")


def test_names_that_are_alike(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are said beforehand: of schemas, and of properties of one."""
    for name, keys in {"Edit": "a", "edit": "a", "a/b": "a", "a_b": ["x.y", "x_y"]}.items():
        (tmp_path / "s" / name).mkdir(parents=True)
        document = {"properties": {key: {"type": "string"} for key in keys}}
        (tmp_path / "s" / name / "1.json").write_text(json.dumps(document))
    lower, slash = (apart_table(Destination(name, 1)) for name in ("edit", "a/b"))
    notes = [
        f"schema edit revision 1 has the table {lower}, if it has none yet, as edit_1 is like that "
        "of Edit revision 1",
        f"schema a/b revision 1 has the table {slash}, if it has none yet, as a_b_1 is like that "
        "of a_b revision 1",
        "schema edit revision 1 has the folder %65%64%69%74_1, if it has none yet, as edit_1 is "
        "like that of Edit revision 1",
        "schema a_b revision 1: event.x_y is x_y_2 in files",
    ]
    assert el("schema", "list", "--schemas", f"{tmp_path}/s") == 0
    told = capsys.readouterr().err.splitlines()
    assert sorted(told) == sorted(f"el schema list: note: {note}" for note in notes)
    (tmp_path / "log").write_text("x\n")
    run_it = ("run", f"file:{tmp_path}/log", "stdout:", "--schemas", f"{tmp_path}/s", "--dry-run")
    assert el(*run_it) == 0
    told = capsys.readouterr().err.splitlines()
    assert sorted(told) == sorted(f"el run: note: {note}" for note in notes)
    assert el("schema", "show", "edit", "--schemas", f"{tmp_path}/s") == 0
    assert f"CREATE TABLE `{lower}` (" in capsys.readouterr().out


def test_patterns_that_take_long_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the schemas are listed, and when a run starts: it goes on."""
    (tmp_path / "A").mkdir()
    (tmp_path / "A" / "1.json").write_text(r'{"properties": {"a": {"pattern": "^(a+)+\\b$"}}}')
    schemas = ("--schemas", str(tmp_path))
    note = r"note: schema A revision 1: pattern '^(a+)+\\b$' is searched in texts of up to "
    assert el("schema", "list", *schemas) == 0
    out, err = capsys.readouterr()
    assert out.startswith("A ") and err.startswith(f"el schema list: {note}")
    assert el("run", f"file:{__file__}", f"parquet:{tmp_path}/p", "--dry-run", *schemas) == 0
    assert capsys.readouterr().err.startswith(f"el run: {note}")


def test_the_command_line_wins_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[RunConfig] = []

    def assemble(asked: RunConfig, *_: object) -> None:
        found.append(asked)
        raise ConfigError(["enough"])

    monkeypatch.setattr(run, "assemble", assemble)
    path = tmp_path / "job.yaml"
    path.write_text("source: 'stdin:'\nsinks: [jsonl:b]\nonly: E\nbeam: [--job_name=x]\n")
    assert el("run", "--config", str(path)) == 2
    kafka, more = "kafka://h:1/?topics=a&group=g", ["--workers", "3", "--", "--job_name=y"]
    assert el("run", kafka, "--config", str(path), *more) == 2
    asked: dict[str, Any] = {"source": "stdin:", "sinks": ["jsonl:b"], "only": "E"}
    assert found == [
        run_config(**asked, beam=["--job_name=x"]),
        run_config(**asked | {"source": kafka}, workers=3, beam=["--job_name=y"]),
    ]


def test_json_and_stdout_do_not_mix(capsys: pytest.CaptureFixture[str]) -> None:
    assert el("run", "stdin:", "stdout:", "--json") == 2
    assert "would both write to standard output" in capsys.readouterr().err


def test_what_is_shown_is_printable() -> None:
    assert printable("é\x1b[31m\n\ud800😀") == "é\\x1b[31m\\n\\ud800😀"


def test_noise_is_diverted_and_words_are_not(tmp_path: Path) -> None:
    code = (
        "import os, sys, threading; from el_beam.running.process import diverted\n"
        "with diverted(sys.argv[1]):\n"
        " os.system('echo noise >&2'); print('é words', file=sys.stderr)\n"
        " broken = threading.Thread(target=lambda: 1 / 0); broken.start(); broken.join()\n"
        "os.system('echo after >&2')"
    )
    call = [sys.executable, "-c", code, str(tmp_path / "noise")]
    found = subprocess.run(call, capture_output=True, text=True, cwd=ROOT, check=True)
    assert found.stderr.splitlines() == ["é words", "after"]
    noise = (tmp_path / "noise").read_text()
    assert noise.startswith("noise\n") and noise.endswith("ZeroDivisionError: division by zero\n")
    with diverted(str(tmp_path / "noise")):  # in this process, whose stderr is pytest's
        pass


def test_sinks_may_stand_behind_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "a.log"
    log.write_text("")
    sinks = [f"jsonl:{tmp_path}/j", f"raw:{tmp_path}/r"]
    assert el("run", f"file:{log}", sinks[0], "--format", "json", sinks[1], "--dry-run") == 0
    describe_error = capsys.readouterr().out
    assert all(f"write   {sink}" in describe_error for sink in sinks)
    assert el("run", f"file:{log}", sinks[0], "--workers", "1", sinks[1], "--nope") == 2
    assert el("schema", "list", "x", "y") == 2
