"""The Java parts are built once for each state of their sources, whole or not at all."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from runners import jars
from runners.jars import build
from runners.programs import ProgramFailed
from schemas.errors import WrongCall

MAVEN = """#!/bin/sh
test -f pom.xml && test -f loopback/pom.xml || exit 1
echo call >> "$CALLS"
sleep 0.2
for name in flink-job-server kafka-expansion; do
    mkdir -p $name/target && touch $name/target/$name-2.jar
done
for name in spark-job-server kafka-broker hdfs; do
    mkdir -p $name/target/lib && touch $name/target/lib/some.jar $name/target/lib/loopback-2.jar
done
echo the last line
exit $CODE
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Maven that takes note in this file that it was called; an empty cache."""
    (tmp_path / "bin").mkdir()
    for name, text in (("mvn", MAVEN), ("java", "#!/bin/sh\n")):
        program = tmp_path / "bin" / name
        program.write_text(text)
        program.chmod(program.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("CODE", "0")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(jars.FOLDER, raising=False)
    return tmp_path / "calls"


def test_concurrent_builds_are_one(calls: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor() as pool:
        folders = list(pool.map(lambda _: build(), range(4)))
    assert {*folders} == {jars.built()}
    assert calls.read_text() == "call\n"
    assert jars.built().is_relative_to(tmp_path / "cache" / "el_beam" / "java")
    assert Path(jars.jar("flink-job-server")).parent == jars.built()
    assert jars.job_server_lib() == jars.built() / "spark-job-server"
    assert jars.library("hdfs") == jars.built() / "hdfs"
    assert {path.name for path in jars.built().parent.iterdir()} == {jars.built().name, "lock"}


def test_a_failed_build_leaves_nothing(calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODE", "1")
    with pytest.raises(
        ProgramFailed, match="cannot build the Java parts with Maven: the last line"
    ):
        build()
    assert not jars.built().exists()
    monkeypatch.setenv("CODE", "0")
    assert build() == jars.built()
    assert calls.read_text() == "call\ncall\n"


def test_jars_of_another_version_are_not_used(
    calls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build()
    to = tmp_path / "to"
    jars.copy(to)
    jars.copy(to)
    monkeypatch.setenv(jars.FOLDER, str(to))
    assert jars.before_beams() == str(to / "spark-job-server" / "loopback-2.jar")
    Path(jars.before_beams()).rename(to / "spark-job-server" / "loopback-1.jar")
    with pytest.raises(jars.JarMissing, match=r"loopback-2.jar is missing: EL_JARS must name a"):
        jars.before_beams()
    with pytest.raises(WrongCall, match=r"to holds spark-job-server/loopback-1.jar already"):
        jars.copy(to)
    assert calls.read_text() == "call\n"


def test_named_jars_go_before_built_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(jars.FOLDER, str(tmp_path))
    assert jars.library("hdfs") == jars.built() / "hdfs"  # it isn't in the named folder
    (tmp_path / "hdfs").mkdir()
    assert jars.library("hdfs") == tmp_path / "hdfs"
