import os
import signal
import time
from collections import Counter
from multiprocessing import active_children

import pytest
from shared_devices import SharedDevices

from costmodel.calibration import Campaign
from costmodel.calibration.testing import FakeMeasurer, FakeModel
from costmodel.data.journal import Journal
from costmodel.data.records import Status
from costmodel.errors import NoDeviceError, UsageError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.jsonl"


@pytest.fixture
def devices(tmp_path):
    folder = tmp_path / "marks"
    folder.mkdir()
    return SharedDevices(folder)


def campaign(path, *models: FakeModel, measurer=None, **changes) -> Campaign:
    settings = {"visits": 1, "runs": 2, "round_interval_s": 0.0, "time_limit_s": 120.0, "workers": 2, **changes}
    return Campaign(models, measurer or FakeMeasurer(), path, **settings)


def visited(path) -> list[str]:
    return [visit.model for visit in Journal(path).read().visits]


def test_two_workers_visit_two_models_at_the_same_time(path, devices):
    records = campaign(path, FakeModel("a", "meet"), FakeModel("b", "meet"), measurer=devices).run()

    assert [record.reason for record in records] == ["", ""], "each waited until the other was there"


def test_rounds_follow_each_other_and_every_visit_is_reported(path):
    reports = []

    records = campaign(path, *map(FakeModel, "abc"), visits=3).run(reports.append)

    order = visited(path)
    assert [sorted(order[start : start + 3]) for start in (0, 3, 6)] == [list("abc")] * 3
    assert [(record.model, record.visits) for record in records] == [("a", 3), ("b", 3), ("c", 3)]
    assert [report.done for report in reports] == list(range(10))


def test_a_crash_and_a_hang_cost_only_their_own_models(path):
    models = FakeModel("a"), FakeModel("x", "abort"), FakeModel("h", "hang"), FakeModel("b"), FakeModel("c")

    records = campaign(path, *models, visits=2, time_limit_s=2).run()

    assert [record.status for record in records] == [Status.OK, Status.CRASHED, Status.HUNG, Status.OK, Status.OK]
    assert Counter(visited(path)) == {"a": 2, "b": 2, "c": 2, "x": 1, "h": 1}


def test_a_lost_device_is_tried_again_and_fails_the_model_only_when_lost_twice(path, devices):
    models = FakeModel("unlucky", "lose once"), FakeModel("deadly", "lose always")

    unlucky, deadly = campaign(path, *models, measurer=devices).run()

    assert unlucky.status is Status.OK
    assert (deadly.status, deadly.reason) == (Status.CRASHED, "the server died")
    assert deadly.model_hash == unlucky.model_hash


def test_a_worker_without_a_device_leaves_its_model_to_the_others(path, devices):
    models = FakeModel("a"), FakeModel("b", "no device once"), FakeModel("c")

    records = campaign(path, *models, measurer=devices, visits=2).run()

    assert [(record.status, record.visits) for record in records] == [(Status.OK, 2)] * 3


def test_without_any_device_the_campaign_ends_and_keeps_what_it_has(path, devices):
    models = FakeModel("a"), FakeModel("b"), FakeModel("c", "no device"), FakeModel("d")

    with pytest.raises(NoDeviceError, match="'board'"):
        campaign(path, *models, measurer=devices).run()

    assert {"a", "b"} <= set(visited(path))
    assert "c" not in visited(path)


@pytest.fixture
def ctrl_c():
    """The signal is heeded, also in a process that was started in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_ends_the_visits_under_way_and_keeps_the_finished_ones(path):
    def interrupt(progress):
        if progress.done == 1:
            os.kill(os.getpid(), signal.SIGINT)

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        campaign(path, FakeModel("a"), FakeModel("h", "hang"), time_limit_s=600).run(interrupt)
    assert time.monotonic() - start < 300
    assert visited(path) == ["a"]
    assert active_children() == []

    assert campaign(path, FakeModel("a"), visits=2).run()[0].visits == 2


def test_no_workers_make_no_sense(path):
    with pytest.raises(UsageError, match="workers of at least 1, got 0"):
        campaign(path, FakeModel("a"), workers=0)
