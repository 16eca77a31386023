"""Whatever goes wrong in the middle of a calibration, nothing that was measured is lost and what to do is said."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import sys
from collections import Counter
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random
from threading import Event, Thread

import faulty_measurer
import pytest
from faulty_measurer import FaultyMeasurer, small_networks

from costmodel.calibration import Campaign, candidates, crew
from costmodel.calibration.cli.choosing import choose_networks
from costmodel.calibration.kit import export_kit, runner
from costmodel.calibration.measurers import MEASURERS
from costmodel.calibration.testing import FakeMeasurer, FakeModel, Job, Run
from costmodel.data.families import generate
from costmodel.data.journal import Journal
from costmodel.data.records import Status
from costmodel.errors import DataError
from costmodel.predictor import Predictor

COUNT, VISITS = 5, 2
CALIBRATE = (
    "calibrate", "--here", "--runtime", "faulty", "--count", COUNT, "--held-back", 0, "--visits", VISITS,
    "--interval", 0, "-w", "weights", "-f", "csv",
)  # fmt: skip

SCRIPT = f"""
import sys
from functools import partial

sys.path.insert(0, {str(Path(faulty_measurer.__file__).parent)!r})

if __name__ == "__main__":
    import faulty_measurer

    from costmodel.calibration import candidates
    from costmodel.calibration.measurers import MEASURERS
    from costmodel.cli import main

    candidates.candidate_networks = faulty_measurer.small_networks
    MEASURERS["faulty"] = partial(faulty_measurer.FaultyMeasurer, {{}}, 0.1)
    main(sys.argv[1:])
"""


@pytest.fixture(autouse=True)
def few_candidates(monkeypatch):
    """To choose among those that there are takes seconds."""
    monkeypatch.setattr(candidates, "candidate_networks", small_networks)


@pytest.fixture
def faulty(monkeypatch):
    """Says what the runtime ``faulty`` does with networks, by name."""

    def set_behaviours(behaviours):
        monkeypatch.setitem(MEASURERS, "faulty", partial(FaultyMeasurer, behaviours))

    set_behaviours({})
    return set_behaviours


@pytest.fixture
def ctrl_c():
    """The signal is heeded, also in a process that was started in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def journal(folder: str = "home/platforms/here") -> Journal:
    return Journal(Path(folder) / "measurements.jsonl")


def chosen(untrained_bundle) -> list[str]:
    """Names of the networks that are measured."""
    pool, rows = choose_networks(Predictor(untrained_bundle), COUNT, 0, "representative", 0)
    return [pool.networks[row].name for row in rows]


# --- Killed ---


def end_again_and_again(job: Job, *ends: str) -> bytes:
    """End a job, each time a random while after its next visit; what its journal is then."""
    chance = Random(0)
    for by in ends:
        run = Run(job, patience_s=100)
        next_visit = partial(_has_visits, job, run.before + 1)
        assert run.wait_for(next_visit, chance.uniform(0, 0.15)), "ended in the middle"
        assert run.end(by) == []
        assert job.faults(run.seen) == []
    return job.lines()


def _has_visits(job: Job, count: int) -> bool:
    return job.visit_count() >= count


@pytest.mark.usefixtures("ctrl_c")
def test_a_calibration_that_is_killed_goes_on_and_its_platform_predicts(run, faulty, tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    command = (sys.executable, str(tmp_path / "script.py"), *map(str, CALIBRATE))
    job = Job((*command, "-o", str(tmp_path / "mine")), tmp_path / "mine" / "measurements.jsonl", VISITS, COUNT)

    known = end_again_and_again(job, "group")

    assert run(*CALIBRATE, "-o", "mine").code == 0
    assert job.faults(known) == []
    assert list(job.visits_by_model().values()) == [VISITS] * COUNT
    Path("net.onnx").write_bytes(generate("vgg", 0, weights=False).SerializeToString())
    predicted = run("predict", "net.onnx", "-p", "mine", "-w", "weights", "-f", "json")
    assert json.loads(predicted.out)["predictions"][0]["latency_ms"] > 0


@pytest.mark.usefixtures("ctrl_c")
def test_a_kit_that_is_killed_goes_on(tmp_path):
    export_kit([FakeModel("a"), FakeModel("b")], tmp_path / "kit", visits=3)
    command = (sys.executable, str(tmp_path / "kit" / "run.py"), "--interval", "0.01")
    job = Job(command, tmp_path / "kit" / "results.jsonl", 3, 2)

    known = end_again_and_again(job, "group", "ctrl-c")

    assert Run(job, patience_s=100).completes() == []
    assert job.faults(known) == []
    assert job.visits_by_model() == {"a": 3, "b": 3}


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_says_how_to_go_on(run, faulty, untrained_bundle):
    *_, hanging = chosen(untrained_bundle)
    faulty({hanging: "hang"})

    with interrupted_when(lambda: journal().path.exists() and journal().path.read_bytes().count(b"\n") == COUNT):
        done = run(*CALIBRATE)

    assert (done.code, done.out) == (130, "")
    assert done.err.startswith("warning: stopped. Every finished visit is in /")
    assert done.err.endswith("run the same command again to go on.\n")
    assert len(journal().read().visits) == COUNT - 1


@contextmanager
def interrupted_when(is_due):
    def wait_and_interrupt():
        while not is_due() and not is_over.wait(0.02):
            pass
        if not is_over.is_set():
            os.kill(os.getpid(), signal.SIGINT)

    is_over = Event()
    thread = Thread(target=wait_and_interrupt)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def test_lines_that_went_and_visits_too_many_are_noticed(tmp_path):
    Campaign([FakeModel("a"), FakeModel("b")], FakeMeasurer(), tmp_path / "j", visits=2, round_interval_s=0).run()
    job = Job((), tmp_path / "j", 2, 2)
    known = job.lines()
    header, first, *others = known.splitlines(keepends=True)
    assert job.faults(known) == []

    (tmp_path / "j").write_bytes(b"".join([header, *others]))
    assert job.faults(known) == ["complete lines of the journal are gone"]
    (tmp_path / "j").write_bytes(known + first)
    assert job.faults(known) == ["a has 3 visits"]


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_does_not_end_a_measuring_process_that_is_starting(tmp_path):
    (record,) = Campaign([FakeModel("a")], faulty_measurer.InterruptedAtStart(), tmp_path / "j", visits=1).run()

    assert record.status is Status.OK


# --- Changed between two starts ---


def calibrate_again(run, *arguments):
    done = run(*CALIBRATE[:-1], "json", "--visits", 1, *arguments)
    return json.loads(done.out)["networks"]


@pytest.mark.usefixtures("faulty")
def test_another_choice_of_networks_keeps_what_was_measured_before(run):
    first = calibrate_again(run, "--select", "random", "--count", 3, "--held-back", 1)
    second = calibrate_again(run, "--select", "random", "--count", 4, "--held-back", 1, "--seed", 1)

    assert len(first) == 4
    assert len(second) > 5
    assert {row["model"] for row in first} < {row["model"] for row in second}
    assert Counter(row["role"] for row in second)["fitted"] == len(second) - 1


@pytest.mark.usefixtures("faulty")
def test_what_another_version_of_a_network_took_is_not_fitted(run):
    assert run(*CALIBRATE, "-o", "board").code == 0
    path = journal("board").path
    path.write_text(re.sub(r'"model_hash":"\w{8}', '"model_hash":"01234567', path.read_text()))
    done = run(*CALIBRATE, "-o", "board")
    assert (done.code, done.out) == (1, "")
    assert "was measured as another version of this package makes it. Calibrate into another folder" in done.err


# --- Models that fail ---


def test_a_crash_and_a_hang_cost_their_own_networks_and_are_told(run, faulty, untrained_bundle, monkeypatch):
    monkeypatch.setattr(crew, "_ATTEMPTS", 1)
    crashing, hanging, *others = chosen(untrained_bundle)
    faulty({crashing: "abort", hanging: "hang"})

    done = run(*CALIBRATE, "--time-limit", 2)

    assert done.code == 0, done.err
    assert f"{crashing} crashed: the process was killed by SIGABRT." in done.err
    assert f"{hanging} hung: no answer within 2 s." in done.err
    assert (
        f"2 of 5 models failed. To try one again, take its failed visit out of {journal().path.absolute()}" in done.err
    )
    assert [row.split(",")[0] for row in done.out.splitlines()[1:]] == others

    lines = journal().path.read_text().splitlines(keepends=True)
    journal().path.write_text("".join(line for line in lines if "crashed" not in line and "hung" not in line))
    faulty({})
    healed = run(*CALIBRATE)
    assert len(healed.out.splitlines()) == 1 + COUNT
    assert "failed" not in healed.err


def test_without_any_measurement_there_is_no_platform(run, faulty, untrained_bundle):
    faulty(dict.fromkeys(chosen(untrained_bundle), "refuse"))

    done = run(*CALIBRATE)

    assert (done.code, done.out) == (1, "")
    assert done.err.count("refused: refused as told.") == COUNT
    assert "measurements of 0 networks, expected at least 3" in done.err
    assert [path.name for path in journal().path.parent.iterdir()] == ["measurements.jsonl"]


# --- A full disk ---


@contextmanager
def room_for(size: int):
    """No file can grow beyond so many bytes, as when the disk is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_disk_that_fills_up_in_the_middle_and_at_the_end(run, faulty):
    with room_for(1500):
        full = run(*CALIBRATE)
    kept = journal().path.read_bytes()

    assert (full.code, full.out) == (1, "")
    assert "cannot append to the journal" in full.err
    assert "run the same command again to go on" in full.err
    assert 0 < len(journal().read().visits) < COUNT * VISITS
    assert kept.endswith(b"\n"), "no part of a line is left"

    assert run(*CALIBRATE).code == 0
    folder = journal().path.parent
    before = contents(folder)
    assert before["measurements.jsonl"].startswith(kept)
    assert list(Counter(visit.model for visit in journal().read().visits).values()) == [VISITS] * COUNT

    with room_for(100):
        full = run(*CALIBRATE)
    assert (full.code, full.out) == (1, "")
    assert "cannot write the platform" in full.err
    assert "Nothing that was measured is lost" in full.err
    assert contents(folder) == before

    with room_for(len(before["platform.json"]) + 50):
        full = run(*CALIBRATE)
    after = contents(folder)
    assert (full.code, full.out) == (1, "")
    assert "cannot write the report" in full.err
    assert "The platform and its measurements are not harmed" in full.err
    assert after == before | {"platform.json": after["platform.json"]}
    assert json.loads(after["platform.json"])["platform"]["name"] == "here"


# --- Two at once ---


def test_a_second_calibration_into_the_same_folder_is_refused_and_another_is_not(run, faulty):
    assert run(*CALIBRATE).code == 0
    before = contents(journal().path.parent)
    with journal().writer(journal().read().header):
        second = run(*CALIBRATE, "--visits", VISITS + 1)
        elsewhere = run(*CALIBRATE, "-o", "elsewhere")

    assert second.code == 1
    assert "another process is writing" in second.err
    assert "wait until it has finished, or choose another place" in second.err
    assert contents(journal().path.parent) == before
    assert elsewhere.code == 0
    assert len(journal("elsewhere").read().visits) == COUNT * VISITS


# --- Files that are not what they should be ---


@pytest.mark.parametrize("place", ["/dev/null", "pipe", "folder"])
def test_what_keeps_nothing_is_no_journal(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    Path("folder").mkdir()

    with pytest.raises(DataError, match=r"no ordinary file.* choose another|Is a directory.* choose another place"):
        Campaign([FakeModel("a")], FakeMeasurer(), place).run()


@pytest.mark.parametrize("text", ['{"kind": "header"}\n', '{"kind": "visit"}\n', "\x00\x00\n", "[]\n"])
def test_a_runner_leaves_files_alone_that_are_no_results(tmp_path, text):
    path = tmp_path / "results.jsonl"
    path.write_text(text)
    header = {"kind": "header", "environment": {}, "settings": {}}

    with pytest.raises(SystemExit, match="something else than results"), runner.Results.opened(path, header):
        pass
    assert path.read_text() == text
