import pytest

from costmodel.calibration import RunTimes
from costmodel.calibration.testing import FakeMeasurer
from costmodel.data.records import Clock
from costmodel.errors import MeasurementError


class Answering(FakeMeasurer):
    def __init__(self, times: RunTimes) -> None:
        self.times = times

    def _visit(self, model, runs):
        return self.times


@pytest.mark.parametrize(
    ("run_ms", "ratio", "message"),
    [
        ((1.0,), 1.0, "asked for 2 timed runs, got 1"),
        ((1.0, 0.0), 1.0, "positive, finite"),
        ((1.0, float("nan")), 1.0, "positive, finite"),
        ((1.0, 1.0), float("inf"), "positive, finite"),
    ],
)
def test_a_plug_in_that_breaks_its_contract_is_told(run_ms, ratio, message):
    with pytest.raises(MeasurementError, match=f"Answering: .*{message}"):
        Answering(RunTimes(run_ms, Clock.WALL, ratio)).measure_visit(b"", runs=2)


def test_work_outside_the_cpu_has_no_ratio():
    assert Answering(RunTimes((1.0,), Clock.WALL, None)).measure_visit(b"", runs=1).reference_ms == 1.0
