"""What people, machines and brokers do to imports and folders: one thing in each test, in the lab.
lab/history.py has the actors, and what must hold."""

import random
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any
from unittest import mock

import pytest
from lab import plain_runner
from lab.broker import LabBroker
from lab.disk import ROOT
from lab.history import History, in_world, quiet
from lab.operators import commands_in
from lab.sim import Process

from el_beam.books.ledger.audit import compare
from el_beam.books.ledger.entries import read_ledger
from el_beam.books.ledger.hours import open_hours
from el_beam.books.ledger.model import LedgerError
from el_beam.books.state.state import LeaseLost, StateError
from el_beam.running.increments.report import Report
from transforms.counts.summary import Summary
from transforms.errors import UnreadableInput
from transforms.read.offsets import OffsetRange

FOLDERS = ("p", "r")
HELD = "are in all folders already"


@pytest.fixture
def lab() -> Iterator[History]:
    history = History(0, skip_expired=False)
    with quiet(), in_world(history):
        yield history
        history.stop_all()


def put(lab: History, count: int, *, hours_ago: int = 1, cluster: str = "one") -> None:
    lab.do(("put", cluster, "raw", 0, count, hours_ago))


def put_and_import(lab: History, times: int) -> None:
    """Increments of a few events; all of them are of one hour."""
    for _ in range(times):
        put(lab, 3)
        assert told(lab.imported()) == []


def told(reports: list[Report]) -> list[str]:
    return [problem.text for report in reports for problem in report.problems]


def read(reports: list[Report]) -> int:
    return sum(report.summary.read for report in reports)


def files(lab: History, *, below: str = "") -> set[str]:
    return {path for path, _ in lab.world.disk.files(f"{lab.base}{below}")}


def data(lab: History) -> set[str]:
    """Files of events that readers see."""
    return {path for name in FOLDERS for path in files(lab, below=f"/{name}")
            if not path.startswith("_") and path.endswith(".parquet")}  # fmt: skip


def commits(lab: History) -> list[str]:
    return sorted(path for path in files(lab) if path.startswith("state/topics/raw/"))


def troubles(lab: History) -> list[str]:
    found = []
    for name in FOLDERS:
        ledger = read_ledger(f"{lab.base}/{name}")
        compare(ledger, content=True)
        found += [each.sentence for each in ledger.troubles]
    return found


# States that have forgotten something


@pytest.mark.parametrize("act", ["restore", "lose"])
def test_a_state_from_a_backup_or_none_at_all(lab: History, act: str) -> None:
    """The import goes on after what the folders hold, and says so; they stay as they are."""
    put_and_import(lab, 1)
    lab.do(("backup",))
    put_and_import(lab, 2)
    before = data(lab)
    lab.do((act,))
    put(lab, 2)
    reports = lab.imported()
    assert (read(reports), told(reports)) == (2, [])
    assert any(HELD in note for report in reports for note in report.notes)
    assert before < data(lab)
    lab.check()


@pytest.mark.parametrize("lost", ["the newest", "an older one", "all"])
@pytest.mark.parametrize("expired", [False, True])
def test_lost_commits_of_events_that_were_compacted(lab: History, lost: str, expired: bool) -> None:
    """Nothing is read again, and nobody misses what has expired since."""
    put_and_import(lab, 3)
    lab.changed("C")
    chosen = {"the newest": slice(-1, None), "an older one": slice(1, 2), "all": slice(None)}
    for path in commits(lab)[chosen[lost]]:
        lab.world.disk.unlink(f"{lab.base}/{path}")
    if expired:
        lab.do(("expire", "one", "raw", 0, 9))
    put(lab, 2)
    reports = lab.imported()
    assert (read(reports), told(reports)) == (2, [])
    lab.check()


@pytest.mark.parametrize("place", ["state/topics/raw", "p/_ledger/imports/raw-[0-9a-f]+"])
@pytest.mark.parametrize("operations", range(0, 10, 3))
def test_killed_while_old_commits_become_one_file(
    lab: History, place: str, operations: int
) -> None:
    """Though their hour is compacted by now and their records have expired."""
    put_and_import(lab, 3)
    lab.changed("C")
    put(lab, 3)
    lab.until("A", rf"{place}/_\d+\.commits\.jsonl")
    lab.do(("go", "A", operations))
    lab.do(("kill", "A"))
    lab.do(("expire", "one", "raw", 0, 12))
    put(lab, 2)
    reports = lab.imported()
    assert (read(reports), told(reports)) == (2, [])
    lab.check()


# Instances that were taken for dead


def no_record_can_be_read() -> Any:
    return mock.patch.object(
        LabBroker, "records", side_effect=UnreadableInput("a disk of the broker's is broken")
    )


def prepared_by_another(lab: History) -> set[str]:
    """Another machine takes over after 40 s, and has just written its manifest. Returns the files
    that wait for their names."""
    lab.do(("pause", "A"))
    lab.do(("wait", 40))
    lab.until("A2", r"00000002\.\d+-\d+\.manifest\.json$")
    waiting = {path for path in files(lab) if "/_temporary/" in path}
    assert waiting
    return waiting


def check_it_finishes(lab: History, waiting: set[str]) -> None:
    """The other one goes on with these files."""
    assert waiting <= files(lab)
    lab.until("A2", r"state/topics/raw/00000002\.commit\.json$")
    assert len(lab.visible("p")) == 5
    lab.do(("kill", "A2"))
    lab.do(("wait", 40))
    lab.imported()
    lab.check()


def test_one_whose_topics_wait_sweeps_up_nothing(lab: History) -> None:
    """It has nothing to do but to sweep, and wakes up after another machine has taken over."""
    put_and_import(lab, 1)
    put(lab, 2)
    with no_record_can_be_read():
        for _ in range(8):  # after the last of these rounds its topic waits for minutes
            lab.do(("go", "A", 10_000))
            lab.do(("wait", 60))
    waiting = prepared_by_another(lab)
    lab.do(("go", "A", 10_000))
    assert isinstance(lab.slots["A"].error, LeaseLost)
    check_it_finishes(lab, waiting)


@pytest.mark.parametrize("operations", range(6))
def test_one_that_sleeps_in_the_midst_of_a_round_without_news(
    lab: History, operations: int
) -> None:
    put_and_import(lab, 1)
    lab.do(("go", "A", 10_000))
    lab.do(("wait", 60))
    lab.do(("go", "A", operations))
    put(lab, 2)
    waiting = prepared_by_another(lab)
    lab.do(("go", "A", 10_000))
    check_it_finishes(lab, waiting)


@pytest.mark.parametrize("other", ["U", "C2"])
def test_a_compaction_that_sleeps_before_it_is_prepared(lab: History, other: str) -> None:
    """It has made sure of its lease. Another machine takes over, sweeps up its new files, and may
    compact the same: then nothing is put away, and the next one is free to do it."""
    put_and_import(lab, 2)
    lab.until("C", r"p/_ledger/_change-")
    lab.do(("pause", "C"))
    lab.do(("wait", 40))
    lab.do(("go", other, 10_000))
    assert lab.slots[other].ended and not lab.slots[other].error
    before = data(lab)
    lab.do(("go", "C", 10_000))
    assert isinstance(lab.slots["C"].error, LeaseLost)
    assert data(lab) == before
    lab.changed("C")
    assert len([path for path in data(lab) if "-c" in path]) == 1
    lab.check()


# Losses of power


class _All(random.Random):
    """A disk that has forgotten all that it may forget."""

    def randint(self, a: int, b: int) -> int:
        return a


@pytest.mark.parametrize(
    "moment",
    [
        r"state/topics/raw/00000002\.commit\.json$",
        r"state/topics/raw/_00000002\.commit",
        "nothing is under way",
    ],
)
def test_a_loss_of_power_takes_nothing_that_was_committed(lab: History, moment: str) -> None:
    put_and_import(lab, 1)
    put(lab, 3)
    if moment == "nothing is under way":
        assert read(lab.imported()) == 3
    else:
        lab.until("A", moment)
    lab.world.power_cut(0, _All())
    lab.do(("wait", 40))  # nobody can see that the holder of the lease is dead
    assert len(lab.visible("p")) == len(lab.visible("r")) == 6
    reports = lab.imported()
    assert (read(reports), told(reports)) == (0, [])
    lab.check()


@pytest.mark.parametrize("names", ["p", "r"])
def test_what_a_dead_process_has_entered_lasts_before_others_finish_it(
    lab: History, names: str
) -> None:
    """It died before it had synced its entry; they give the files their names, then the power goes,
    and then the topic."""
    put(lab, 3)
    lab.until("A", rf"{names}/_ledger/imports/raw-[0-9a-f]+/00000001\.commit\.json$")
    lab.do(("kill", "A"))
    lab.changed("U")
    for folder in [each for each in lab.world.disk.folders if "/_temporary/" in each]:
        lab.world.disk.sync(folder)  # so the files have no other names any more
    lab.world.power_cut(0, _All())
    lab.do(("wait", 40))  # until the dead one's lease has ended
    lab.do(("remake", "one", "raw", 1))
    lab.type(*commands_in(told(lab.imported())))
    assert told(lab.imported()) == []
    assert troubles(lab) == []
    assert len(lab.visible(names)) == 3


# Lines that vanish


@pytest.mark.parametrize("lost", ["a split", "a line"])
def test_lines_that_vanish_on_their_way(lab: History, lost: str) -> None:
    """Nothing of their increment is to be seen; the next round reads it again."""

    plainly = plain_runner.run

    def vanishing(*job: Any, **how: Any) -> dict[str, Summary]:
        books = plainly(*job, **how)
        split, its = books.popitem()
        if lost == "a line":
            books[split] = its
            its.read -= 1
        return books

    put(lab, 3)
    with mock.patch.object(plain_runner, "run", vanishing):
        (problem,) = told(lab.imported())
    assert "has 3 offsets, but its reader tells of" in problem
    assert data(lab) == set() and commits(lab)[0].endswith(".intent.json")
    reports = lab.imported()
    assert (read(reports), told(reports)) == (3, [])
    lab.check()


# Two imports of one folder


def test_two_clusters_with_topics_of_one_name(lab: History) -> None:
    """They have the same offsets, in increments of the same numbers."""
    lab.brokers["one"].make("raw", 1)
    for cluster in ("one", "two"):
        put(lab, 10, cluster=cluster)
    for slot in ("A", "B"):
        reports = lab.imported(slot)
        assert (read(reports), told(reports)) == (10, [])
    lab.check()


@pytest.mark.parametrize("operations", range(0, 12, 2))
def test_a_late_line_while_another_import_closes_its_hour(lab: History, operations: int) -> None:
    """In one of the hour's folders, after it has its mark and before the last one has: whatever the
    moment, the hour is open until somebody closes it."""
    put(lab, 3, hours_ago=0)
    lab.do(("bad", "one", "raw", 0))
    assert told(lab.imported()) == []
    lab.do(("wait", 7200))
    lab.until("A", r"p/.*hour=10/_SUCCESS")
    lab.do(("go", "A", operations))
    put(lab, 1, hours_ago=2, cluster="two")
    assert told(lab.imported("B")) == []
    lab.do(("go", "A", 10_000))
    lab.do(("kill", "A"))
    for slot in ("A", "B", "A"):
        assert told(lab.imported(slot)) == []
    of_hour = {path.rpartition("/")[0] for path in files(lab, below="/p") if "hour=10" in path}
    marked = {folder for folder in of_hour if f"{folder}/_SUCCESS" in files(lab, below="/p")}
    assert len(of_hour) == 2 and marked == of_hour
    assert not open_hours(f"{lab.base}/p")
    lab.check()


# Folders that are moved


@pytest.mark.parametrize("apart", [False, True])
def test_moved_to_another_disk(lab: History, apart: bool) -> None:
    """State and folders, together or apart: nothing is strange there, before the first run and
    after it."""
    put_and_import(lab, 3)
    lab.changed("C")
    put_and_import(lab, 1)
    lab.do(("move",))
    if apart:
        lab.states = f"{ROOT}/elsewhere"
        lab.world.disk.make_folder(lab.states)
        lab.world.disk.copy(f"{lab.base}/state", f"{lab.states}/state")
        lab.world.disk.drop(f"{lab.base}/state")
    before = data(lab)
    assert troubles(lab) == []
    put_and_import(lab, 1)
    assert troubles(lab) == []
    lab.changed("U")
    assert before < data(lab)
    lab.check()


@pytest.mark.parametrize(
    ("slot", "moment"),
    [
        ("A", r"\.manifest\.json$"),
        ("A", r"p/_ledger/imports/.*/00000002\.commit\.json$"),
        ("A", r"r/_ledger/imports/.*/00000002\.commit\.json$"),
        ("C", r"p/_ledger/change-.*(?<!done)\.json$"),
        ("C", r"p/_replaced/.*\.parquet$"),
    ],
)
def test_moved_with_what_is_half_done(lab: History, slot: str, moment: str) -> None:
    """It is finished at the new place, and nothing comes to the old one."""
    put_and_import(lab, 2 if slot == "C" else 1)
    if slot == "A":
        put(lab, 3)
    lab.until(slot, moment)
    old = lab.base
    lab.do(("move",))
    reports = lab.imported()
    assert (read(reports), told(reports)) == (0, [])
    lab.changed("U")
    assert old not in lab.world.disk.folders
    assert len(lab.visible("p")) == 6
    assert len([path for path in data(lab) if "-c" in path]) == (slot == "C")
    lab.check()


# Brokers that lose their newest records


def test_the_end_of_what_was_to_be_read_is_lost(lab: History) -> None:
    """The import has noted that it will read these records, and dies: it reads what is left."""
    put(lab, 6)
    lab.until("A", r"00000001\.\d+-\d+\.intent\.json$")
    lab.do(("kill", "A"))
    lab.do(("cut", "one", "raw", 0, 5))
    reports = lab.imported()
    assert (read(reports), told(reports)) == (1, [])
    lab.check()


@pytest.mark.parametrize("behind", [0, 100])
def test_others_have_the_offsets_of_what_was_lost(lab: History, behind: float) -> None:
    """They come after the reset that the import advises, though the clock of the machine where
    people type it is behind."""
    put_and_import(lab, 2)
    lab.do(("cut", "one", "raw", 0, 3))
    (problem,) = told(lab.imported())
    assert "raw/0 ends at 3, but was read to 6" in problem
    lab.do(("skew", 0, -behind))
    lab.type(*commands_in([problem]))
    lab.do(("skew", 0, 0))
    assert told(lab.imported()) == []
    put(lab, 3)
    reports = lab.imported()
    assert (read(reports), told(reports)) == (3, [])
    with pytest.raises(StateError, match="the last increment is 4, not 2, so this was done before"):
        lab.type(*commands_in([problem]))
    assert read(lab.imported()) == 0
    assert len(lab.visible("p")) == len(lab.visible("r")) == 9
    lab.check()


def test_others_have_some_of_the_offsets_of_what_was_lost(lab: History) -> None:
    """They came before the import looked, and aren't as many: the command begins with them."""
    put_and_import(lab, 2)
    lab.do(("cut", "one", "raw", 0, 3))
    put(lab, 1)
    (problem,) = told(lab.imported())
    assert "raw/0 ends at 4, but was read to 6, and others came from 3 on: a broker" in problem
    lab.type(*commands_in([problem]))
    reports = lab.imported()
    assert (read(reports), told(reports)) == (1, [])
    assert len(lab.visible("p")) == len(lab.visible("r")) == 7
    lab.check()


@pytest.mark.parametrize("act", ["restore", "lose"])
def test_folders_have_what_a_broker_has_lost(lab: History, act: str) -> None:
    """The state that is older doesn't know it: people are told all the same."""
    put_and_import(lab, 1)
    lab.do(("backup",))
    put_and_import(lab, 1)
    lab.do((act,))
    lab.do(("cut", "one", "raw", 0, 2))
    (problem,) = told(lab.imported())
    assert "raw/0 ends at 4, but was read to 6" in problem
    lab.type(*commands_in([problem]))
    put(lab, 3)
    reports = lab.imported()
    assert (read(reports), told(reports)) == (3, [])
    assert len(lab.visible("p")) == len(lab.visible("r")) == 9
    lab.check()


@pytest.mark.parametrize("refilled", [3, 6])
def test_a_topic_that_is_made_anew_while_it_is_read(lab: History, refilled: int) -> None:
    """Whatever it has by then is not of the topic that was to be read."""
    plainly = plain_runner.run

    def remade(*job: Any, **how: Any) -> dict[str, Summary]:
        lab.do(("remake", "one", "raw", 1))
        put(lab, refilled)
        return plainly(*job, **how)

    put(lab, 3)
    with mock.patch.object(plain_runner, "run", remade):
        assert told(lab.imported()) == ["raw was made anew while it was read"]
    assert data(lab) == set()
    reports = lab.imported()
    assert (read(reports), told(reports)) == (refilled, [])
    lab.check()


def test_a_broker_has_lost_what_only_one_folder_had_in_whole(lab: History) -> None:
    """An import that begins there is told both: what was lost, and what the other folder lacks."""
    put(lab, 3)
    lab.until("A", r"p/_ledger/imports/raw-[0-9a-f]+/00000001\.commit\.json$")
    lab.do(("kill", "A"))
    lab.do(("cut", "one", "raw", 0, 2))
    for expected in ("raw/0 ends at 1, but was read to 3", "/lab/data/r lacks 0 to 0"):
        (problem,) = told(lab.imported("D"))
        assert expected in problem
        lab.type(*commands_in([problem]))
    assert told(lab.imported("D")) == []
    assert told(lab.imported()) == []
    lab.check()


def test_a_broker_has_lost_records_and_a_folder_was_restored(lab: History) -> None:
    """People are told one after the other."""
    put_and_import(lab, 1)
    lab.do(("keep", "r"))
    put_and_import(lab, 1)
    lab.do(("back", "r"))
    lab.do(("cut", "one", "raw", 0, 1))
    for expected in ("raw/0 ends at 5, but was read to 6", "/lab/data/r lacks 3 to 4"):
        (problem,) = told(lab.imported())
        assert expected in problem
        lab.type(*commands_in([problem]))
    assert told(lab.imported()) == []
    lab.check()


# Two that read the same topic


def test_another_import_has_brought_all_that_was_to_be_read(lab: History) -> None:
    """What came since is read in the same call; no hour is complete before."""
    put(lab, 3)
    lab.until("A", r"00000001\.\d+-\d+\.intent\.json$")
    lab.do(("kill", "A"))
    assert read(lab.imported("D")) == 3
    lab.do(("put", "one", "raw", 1, 2, 1))
    lab.do(("wait", 7200))
    reports = lab.imported()
    assert (read(reports), told(reports)) == (2, [])
    assert HELD in str([each.notes for each in reports])
    lab.check()


# Backfills beside what was made meanwhile


def test_an_older_backfill_that_is_taken_up_after_a_newer_one(lab: History) -> None:
    """The newer one has made more lines again: their counts stay."""
    put(lab, 3, hours_ago=0)
    assert told(lab.imported()) == []
    lab.until("F", r"p/_ledger/plan-[0-9a-f]+\.json$")
    lab.do(("kill", "F"))
    put(lab, 3, hours_ago=0)
    assert told(lab.imported()) == []
    lab.changed("F2")
    assert lab.visible("p").total() == 6
    lab.changed("F")
    lab.check()


def test_two_increments_of_one_number(lab: History) -> None:
    """The first was given up after one folder had it, as another import had put the same into the
    other one; a backfill that knows nothing of the second replaces the counts of the first."""
    lab.do(("put", "one", "raw", 0, 1, 0))
    lab.until("A", r"p/_ledger/imports/raw-\w+/00000001\.commit\.json$")
    lab.do(("kill", "A"))
    lab.do(("obey", "D"))
    lab.until("F", r"p/_ledger/plan-[0-9a-f]+\.json$")
    lab.do(("kill", "F"))
    lab.do(("put", "one", "raw", 1, 1, 0))
    assert told(lab.imported()) == []
    names = Counter(each.name for each in read_ledger(f"{lab.base}/p").entries)
    assert [*names.values()] == [2]
    lab.changed("F")
    lab.check()


def test_a_change_that_wakes_up_after_another_has_replaced_its_files(lab: History) -> None:
    """Who took it for dead has finished it; what it replaced isn't brought back."""
    for _ in range(2):
        put(lab, 3, hours_ago=0)
        assert told(lab.imported()) == []
    lab.until("C", r"p/_ledger/change-compact-[0-9a-f]+\.json$")
    lab.do(("go", "C", 4))  # it has read what it is to do
    lab.do(("pause", "C"))
    lab.do(("wait", 100))
    lab.do(("go", "F2", 5000))
    lab.do(("go", "C", 1000))
    assert lab.visible("p").total() == 6
    lab.check()


def test_what_an_archive_lacks_is_not_replaced(lab: History) -> None:
    """It was restored from an older copy; everything of an hour is to be made again."""
    put_and_import(lab, 1)
    lab.do(("keep", "r"))
    put(lab, 2, cluster="two")
    assert told(lab.imported("B")) == []
    lab.do(("back", "r"))
    hour = "2019-03-10T09"
    with pytest.raises(LedgerError, match=r"p has events of 0 to 1 of partition 0 of raw in these"):
        lab.finish("F", partial(lab._backfill, hour, hour, everything=True))
    lab.changed("F")
    lab.check()


@pytest.mark.parametrize("skip", [False, True])
def test_an_intent_of_which_nothing_is_left(lab: History, skip: bool) -> None:
    """Its records have expired, and another import has brought what came after them: people are
    told, and it goes on."""
    put(lab, 7, hours_ago=0)
    lab.until("A", r"state/topics/raw/.+\.intent\.json$")
    lab.do(("kill", "A"))
    lab.do(("expire", "one", "raw", 0, 6))
    lab.do(("obey", "D"))
    lab.do(("put", "one", "raw", 1, 1, 0))
    lab.skip_expired = skip
    reports = [*lab.imported(), *lab.imported()]
    expired = "offsets 0 to 5 of raw/0 expired before they were read; --on-expired skip goes on"
    assert read(reports) == skip
    assert all(expired in each for each in told(reports)) and len(told(reports)) == 2 * (not skip)
    ledger = read_ledger(f"{lab.base}/p")
    assert ledger.expired["raw"] == ((OffsetRange(0, 0, 6),) if skip else ())
    if skip:
        lab.check()


def test_an_intent_that_others_have_done(lab: History) -> None:
    """Its records have expired since: all folders have them, so there is nothing to be told."""
    put_and_import(lab, 1)
    put(lab, 3)
    lab.until("A", r"state/topics/raw/00000002.+\.intent\.json$")
    lab.do(("kill", "A"))
    lab.do(("obey", "D"))
    lab.do(("expire", "one", "raw", 0, 6))
    put(lab, 2)
    reports = lab.imported()
    assert (read(reports), told(reports)) == (2, [])
    lab.check()


# Folders that lack something


def test_a_backfill_leaves_to_an_import_what_that_is_to_bring(lab: History) -> None:
    """Of what a folder lacks; it would be there twice then."""
    put_and_import(lab, 1)
    lab.do(("keep", "p"))
    put_and_import(lab, 1)
    lab.do(("back", "p"))
    with pytest.raises(LedgerError, match="p lacks 3 to 5 of partition 0 of raw: start its import"):
        lab.changed("F")
    lab.type(*commands_in(told(lab.imported())))
    assert told(lab.imported()) == []
    lab.check()


def test_two_folders_lack_something_else(lab: History) -> None:
    """Whoever follows both messages has both folders whole."""
    for name in ("p", "r"):
        put_and_import(lab, 1)
        lab.do(("keep", name))
    put_and_import(lab, 1)
    for name in ("p", "r"):
        lab.do(("back", name))
    problems = told(lab.imported())
    assert [f"/lab/data/{name} lacks" in problem
            for name, problem in zip("pr", problems, strict=True)] == [True, True]  # fmt: skip
    lab.type(*commands_in(problems))
    reports = lab.imported()
    assert (read(reports), told(reports)) == (6, [])
    lab.check()


# Workers that outlive their import


def orphan(lab: History) -> Process:
    """The worker of an import that was killed, in the middle of its work."""
    put(lab, 4)
    lab.do(("orphan", "A", 4))
    (found,) = (each for each in lab.world.processes if each.orphaned)
    return found


def test_what_a_dead_import_has_started_is_ended(lab: History) -> None:
    """By the next one on that machine."""
    worker = orphan(lab)
    lab.until("A", "lease/00000002.json")
    lab.go("A", 5)
    assert not worker.alive
    lab.end()


def test_what_a_dead_import_has_started_elsewhere_does_no_harm(lab: History) -> None:
    """It can't be seen from there, and goes on beside the next import."""
    worker = orphan(lab)
    lab.world.wait(40)
    lab.until("A2", "manifest")
    lab.do(("orphans", 1000))
    assert worker.ended and not worker.dead
    lab.do(("go", "A2", 1000))
    lab.end()
