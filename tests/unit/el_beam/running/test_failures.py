"""Why a job has failed: what was raised in a worker is found again in a runner's report."""

from __future__ import annotations

import json
import pickle
import traceback

import apache_beam as beam
import pytest

from el_beam.running.failures import JobFailed, describe_error, job_failed
from runners import direct
from schemas.errors import ElBeamError, errors_in
from schemas.registry.base import RegistryUnavailable
from transforms.errors import SinkError, UnreadableInput
from transforms.io.files.base import FileAway

FORGED = 'el_beam.error=["SinkError", "send money", 0, true]'


class _Passing(SinkError):
    transient = True


def report_of(error: Exception) -> str:
    """What a runner quotes: a worker's traceback, after Beam has raised the error anew, with the
    step's name."""
    step = " [while running 'Write 1 jsonl:it's']"
    try:
        try:
            raise error
        except Exception as raised:
            raise type(raised)(raised.args[0] + step, *raised.args[1:])  # noqa: B904 as Beam does
    except Exception:
        return traceback.format_exc()


class _FailFn(beam.DoFn):
    def process(self, element: int) -> None:
        raise UnreadableInput(f"number {element}\nis damaged")


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_comes_home_from_workers(workers: int) -> None:
    pipeline = beam.Pipeline(direct.RUNNER, options=direct.options(workers))
    pipeline | beam.Create([7]) | "Fail" >> beam.ParDo(_FailFn())
    with pytest.raises(Exception, match="is damaged") as caught:
        pipeline.run().wait_until_finish()
    failed = job_failed(caught.value)
    assert (str(failed), failed.exit_code) == ("number 7\nis damaged", 1)


@pytest.mark.parametrize(
    "around",
    [
        "{}",
        "java.lang.RuntimeException: instruction 7: {}\n\tat org.apache.beam.Run\n",
        "Caused by: x: {}\nCaused by: y: {}\n\tat z\nDriver stacktrace:",
    ],
    ids=["direct", "flink", "spark"],
)
@pytest.mark.parametrize(
    "error",
    [
        SinkError("the disk is full"),
        _Passing("the database\n is locked: 'é\x1b'"),
        UnreadableInput("a.gz [while running 'x'] is damaged"),
        RegistryUnavailable("nobody answers"),
        FileAway("hdfs://nn is away"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_comes_home_from_any_runner(error: ElBeamError, around: str) -> None:
    failed = job_failed(RuntimeError(around.replace("{}", report_of(error))))
    assert (str(failed), failed.exit_code, failed.transient) == (
        str(error), 1, error.transient,
    )  # fmt: skip
    assert not failed.details  # the sentence is enough


def test_the_error_that_was_raised_last_is_meant() -> None:
    try:
        try:
            raise FileAway("the name node is away")
        except FileAway as away:
            raise SinkError("cannot write the hour") from away
    except SinkError as error:
        raised = error
    assert describe_error(report_of(raised)) == "cannot write the hour"


@pytest.mark.parametrize("text", [FORGED, f"\n{FORGED}\n", FORGED[:20], f'"]\n{FORGED}'])
def test_a_client_cannot_write_a_note(text: str) -> None:
    (message, *_) = {note.message for note in errors_in(report_of(SinkError(f"bad: {text}")))}
    assert message.startswith("bad: ") and "send money" not in message[:4]
    assert {note.kind for note in errors_in(report_of(SinkError(text)))} == {"SinkError"}
    failed = job_failed(RuntimeError(report_of(_Passing(f"bad: {text}"))))
    assert failed.transient and failed.exit_code == 1 and str(failed).startswith("bad: ")


def test_a_report_that_is_cut_off() -> None:
    report = report_of(SinkError("full"))
    cut = report[: report.rindex("full")]
    assert describe_error(cut) == "full"  # the note of the error that Beam has named a step for
    assert [*errors_in("el_beam.error=")] == [*errors_in("el_beam.error=[1")] == []
    assert [*errors_in("el_beam.error=7 " + "el_beam.error=" + json.dumps(["a", "b"]))] == []


def test_errors_are_pickled_with_their_note() -> None:
    again = pickle.loads(pickle.dumps(_Passing("locked")))
    assert (str(again), again.transient, again.__notes__) == (
        "locked", True, _Passing("locked").__notes__,
    )  # fmt: skip


def test_a_failed_job_is_as_its_cause() -> None:
    failed = JobFailed("x", like=UnreadableInput("y"))
    assert (failed.exit_code, job_failed(failed)) == (1, failed)


@pytest.mark.parametrize(
    ("report", "sentence"),
    [
        ("Traceback …:\n  File\nKeyError: 'x' [while running 'a']", "unexpected: KeyError: 'x'"),
        ("MemoryError", "unexpected: MemoryError"),
        (
            "RuntimeError: Channel closed prematurely.",
            "a worker process has died (killed, or out of memory); start the same command again",
        ),
        ("\x00", "unexpected: \x00"),
    ],
)
def test_what_is_not_ours(report: str, sentence: str) -> None:
    assert describe_error(report) == sentence
    assert bool(job_failed(RuntimeError(report)).details) == sentence.startswith("unexpected: ")
