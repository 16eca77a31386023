from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from costmodel.data.records import Clock, MeasurementRecord, Status, Visit
from costmodel.errors import DataError

HASH = "a" * 64
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def visit(*run_ms: float, **changes: Any) -> Visit:
    fields = {
        "model": "m",
        "model_hash": HASH,
        "batch": 1,
        "status": Status.OK,
        "run_ms": run_ms,
        "clock": Clock.CPU,
        "wall_cpu_ratio": 1.0,
        "reference_ms": 1.0,
        "measured_at": NOON,
    }
    return Visit(**{**fields, **changes})


def failed(status: Status = Status.CRASHED) -> Visit:
    return Visit(model="m", status=status, reason="it did", measured_at=NOON)


def test_the_fastest_run_of_all_visits_is_the_latency():
    record = MeasurementRecord.from_visits(
        "p", [visit(3.0, 2.5), visit(2.0, 4.0, reference_ms=1.5, wall_cpu_ratio=1.2), visit(3.0, 2.2)]
    )

    assert record.latency_ms == 2.0
    assert (record.visits, record.runs) == (3, 6)
    assert record.spread == pytest.approx(2.2 / 2.0 - 1)
    assert (record.reference_ms, record.wall_cpu_ratio) == (1.5, 1.2), "flags are those of the fastest visit"


def test_one_failed_visit_fails_the_model():
    record = MeasurementRecord.from_visits("p", [visit(2.0), failed(Status.HUNG)])

    assert (record.status, record.latency_ms, record.reason) == (Status.HUNG, None, "it did")
    assert not record.is_trusted


@pytest.mark.parametrize("latency_ms", [0.0, -1.0, float("nan"), float("inf"), None])
def test_an_ok_record_needs_a_positive_finite_latency(latency_ms):
    fields = MeasurementRecord.from_visits("p", [visit(2.0)]).model_dump()

    with pytest.raises(ValidationError, match="latency_ms"):
        MeasurementRecord(**{**fields, "latency_ms": latency_ms})


@pytest.mark.parametrize(
    "changes",
    [
        {"run_ms": ()},
        {"run_ms": (1.0, float("nan"))},
        {"model_hash": None},
        {"model_hash": "short"},
        {"batch": 0},
        {"status": Status.CRASHED, "run_ms": ()},
        {"measured_at": NOON.replace(tzinfo=None)},
    ],
    ids=["no runs", "nan", "no hash", "bad hash", "batch 0", "no reason", "no zone"],
)
def test_a_visit_that_contradicts_itself_is_refused(changes):
    with pytest.raises(ValidationError):
        visit(1.0, **changes)


def test_visits_to_different_graphs_make_no_record():
    with pytest.raises(DataError, match="2 pairs of batch and graph"):
        MeasurementRecord.from_visits("p", [visit(1.0), visit(1.0, model_hash="b" * 64)])


@pytest.mark.parametrize(
    ("clock", "ratio", "trusted"), [(Clock.CPU, 1.9, True), (Clock.WALL, 1.05, True), (Clock.WALL, 1.2, False)]
)
def test_wall_clock_is_trusted_only_on_an_idle_machine(clock, ratio, trusted):
    assert MeasurementRecord.from_visits("p", [visit(1.0, clock=clock, wall_cpu_ratio=ratio)]).is_trusted is trusted
