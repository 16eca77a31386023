import os
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

from costmodel.calibration import Campaign
from costmodel.calibration.testing import FakeMeasurer, FakeModel
from costmodel.data.journal import Journal
from costmodel.data.records import Status
from costmodel.errors import DataError, MeasurementError, UsageError

SCRIPT = """
import sys
from costmodel.calibration import Campaign
from costmodel.calibration.testing import FakeMeasurer, FakeModel

if __name__ == "__main__":
    models = [FakeModel(name) for name in "abc"]
    Campaign(models, FakeMeasurer(pause_s=0.1), sys.argv[1], visits=8, round_interval_s=0).run()
"""


def campaign(path, *models: FakeModel, **changes) -> Campaign:
    settings = {"visits": 3, "runs": 2, "round_interval_s": 0.0, "time_limit_s": 20.0, **changes}
    return Campaign(models, FakeMeasurer(), path, **settings)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.jsonl"


def visited(path) -> list[str]:
    return [visit.model for visit in Journal(path).read().visits]


def test_goes_round_all_models_and_reports_each_visit(path):
    reports = []

    records = campaign(path, FakeModel("a"), FakeModel("b")).run(reports.append)

    assert visited(path) == ["a", "b", "a", "b", "a", "b"]
    assert [(record.model, record.latency_ms, record.visits, record.runs) for record in records] == [
        ("a", FakeMeasurer.RUN_MS, 3, 6),
        ("b", FakeMeasurer.RUN_MS, 3, 6),
    ]
    assert [report.done for report in reports] == list(range(7))
    assert {report.total for report in reports} == {6}


def test_a_crash_and_a_refusal_cost_only_their_own_model(path):
    records = campaign(path, FakeModel("a"), FakeModel("x", "abort"), FakeModel("y", "refuse"), FakeModel("b")).run()

    assert [record.status for record in records] == [Status.OK, Status.CRASHED, Status.REFUSED, Status.OK]
    assert "SIGABRT" in records[1].reason
    assert records[2].reason == "refused as told"
    assert records[1].model_hash == records[0].model_hash, "the facts sent before the crash are kept"
    assert Counter(visited(path)) == {"a": 3, "b": 3, "x": 1, "y": 1}, "a failed model is not visited again"


def test_a_hang_is_ended_and_tried_twice(path):
    start = time.monotonic()

    records = campaign(path, FakeModel("h", "hang"), FakeModel("a"), time_limit_s=1.5).run()

    assert [record.status for record in records] == [Status.HUNG, Status.OK]
    assert "1.5 s" in records[0].reason
    assert time.monotonic() - start > 3.0


def test_killed_in_the_middle_it_goes_on_where_it_stopped(path):
    process = subprocess.Popen([sys.executable, _script(path), path], start_new_session=True)
    _wait_for_visits(path, 7)
    process.send_signal(signal.SIGKILL)  # the measuring process is left alone and must end by itself
    process.wait()
    kept = len(visited(path))
    assert 7 <= kept < 24
    _wait_for_group_to_end(process.pid)

    models = [FakeModel(name) for name in "abc"]
    records = Campaign(models, FakeMeasurer(), path, visits=8, round_interval_s=0).run()

    assert visited(path) == list("abc") * 8
    assert [record.visits for record in records] == [8, 8, 8]


def test_ctrl_c_keeps_what_was_measured(path):
    def interrupt(progress):
        if progress.done == 2:
            os.kill(os.getpid(), signal.SIGINT)

    # A process that was started in the background of a shell ignores the signal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            campaign(path, FakeModel("a"), FakeModel("b")).run(interrupt)
    finally:
        signal.signal(signal.SIGINT, before)
    assert visited(path) == ["a", "b"]

    assert [record.visits for record in campaign(path, FakeModel("a"), FakeModel("b")).run()] == [3, 3]


def test_a_finished_campaign_measures_no_more_unless_visits_are_added(path):
    campaign(path, FakeModel("a")).run()

    assert campaign(path, FakeModel("a")).run()[0].visits == 3
    assert campaign(path, FakeModel("a"), visits=5).run()[0].visits == 5
    assert visited(path) == ["a"] * 5


def test_other_settings_are_refused(path):
    campaign(path, FakeModel("a")).run()

    with pytest.raises(DataError, match=r"settings\.runs was 2, now 4"):
        campaign(path, FakeModel("a"), runs=4).run()


def test_a_model_that_changed_under_its_name_is_refused(path):
    campaign(path, FakeModel("a"), visits=1).run()
    text = path.read_text()
    path.write_text(text.replace(Journal(path).read().visits[0].model_hash, "0" * 64))

    with pytest.raises(DataError, match="its graph changed"):
        campaign(path, FakeModel("a"), visits=2).run()


def test_rounds_are_kept_apart(path):
    start = time.monotonic()

    campaign(path, FakeModel("a"), visits=3, round_interval_s=0.75).run()

    assert time.monotonic() - start > 1.5


@pytest.mark.parametrize(
    ("models", "changes", "message"),
    [
        ((), {}, "nothing to measure"),
        ((FakeModel("a"), FakeModel("a", "refuse")), {}, "several models are called a"),
        ((FakeModel("a"),), {"visits": 0}, "visits of at least 1, got 0"),
        ((FakeModel("a"),), {"batch": 0}, "batch of at least 1, got 0"),
        ((FakeModel("a"),), {"time_limit_s": 0}, "time limit above 0"),
    ],
)
def test_requests_that_make_no_sense(path, models, changes, message):
    with pytest.raises(UsageError, match=message):
        campaign(path, *models, **changes)


class UnstartableMeasurer(FakeMeasurer):
    def __setstate__(self, state):
        os._exit(7)


def test_a_measuring_process_that_does_not_start_is_an_error_not_a_record(path):
    with pytest.raises(MeasurementError, match="did not start"):
        Campaign([FakeModel("a")], UnstartableMeasurer(), path).run()
    assert visited(path) == []


def _script(path) -> str:
    script = path.with_name("campaign_script.py")
    script.write_text(SCRIPT)
    return str(script)


def _wait_for_visits(path, count: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if path.exists() and path.read_bytes().count(b"\n") > count:
            return
        time.sleep(0.02)
    raise AssertionError(f"no {count} visits within 30 s")


def _wait_for_group_to_end(group: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    raise AssertionError("the measuring process outlived its parent")
