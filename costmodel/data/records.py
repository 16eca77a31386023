"""What was measured: one visit to a model, and the record that all its visits add up to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from statistics import median
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveInt, model_validator

from costmodel.errors import DataError

__all__ = ["Clock", "MeasurementRecord", "Status", "Visit"]

_SHA256_PATTERN = r"^[0-9a-f]{64}$"

_WALL_CPU_TOLERANCE = 0.1
"""How far the wall/CPU ratio may be from 1 before a wall-clock latency is no longer trusted."""


class Status(StrEnum):
    """How a visit, or a whole measurement, ended."""

    OK = "ok"
    CRASHED = "crashed"
    """The process that ran the model died."""
    HUNG = "hung"
    """The model did not finish within the time limit."""
    REFUSED = "refused"
    """The runtime, or the reader of the file, would not take the model."""


class Clock(StrEnum):
    """What a latency was timed with."""

    CPU = "cpu"
    """CPU time of the one thread that ran the model: other processes do not lengthen it."""
    WALL = "wall"
    """Wall-clock time: right for several threads, but only while nothing else runs."""


def _require_utc(moment: datetime) -> datetime:
    if moment.utcoffset() is None:
        raise ValueError("a time without a zone; expected UTC, e.g. datetime.now(UTC)")
    return moment.astimezone(UTC)


_PositiveFinite = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_UtcTime = Annotated[datetime, AfterValidator(_require_utc)]
_ModelHash = Annotated[str, Field(pattern=_SHA256_PATTERN)]


class _Outcome(BaseModel):
    """The fields that a visit and a record share.

    Attributes:
        model: Name of the model.
        model_hash: :func:`~costmodel.data.weightless.graph_hash` of the model; ``None`` if it could not be read.
        batch: Batch the model was run at; ``None`` if that was not found out before the failure.
        status: How it ended.
        reason: Why it failed; empty when ``status`` is ok.
        clock: What the times were taken with.
        wall_cpu_ratio: Wall-clock time over (CPU time / threads), 1 on an idle machine; ``None`` when the work
            is not done by the CPU.
        reference_ms: Time of the reference kernel run beside the model, to compare machine conditions.
        measured_at: When it ended, UTC.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    model: str = Field(min_length=1)
    model_hash: _ModelHash | None = None
    batch: PositiveInt | None = None
    status: Status
    reason: str = ""
    clock: Clock | None = None
    wall_cpu_ratio: _PositiveFinite | None = None
    reference_ms: _PositiveFinite | None = None
    measured_at: _UtcTime

    @model_validator(mode="after")
    def _failures_have_a_reason(self) -> Self:
        if self.status is Status.OK:
            missing = [name for name in ("model_hash", "batch", "clock") if getattr(self, name) is None]
            if missing:
                raise ValueError(f"status 'ok' needs {', '.join(missing)}")
        elif not self.reason:
            raise ValueError(f"status {self.status.value!r} needs a reason")
        return self


class Visit(_Outcome):
    """One visit to one model: load, warm up, and time a few runs.

    Attributes:
        kind: Tells visits from other lines of a journal.
        run_ms: Time of each run in milliseconds, in the order they were made; empty when the visit failed.
    """

    kind: Literal["visit"] = "visit"
    run_ms: tuple[_PositiveFinite, ...] = ()

    @model_validator(mode="after")
    def _runs_match_status(self) -> Self:
        if (self.status is Status.OK) != bool(self.run_ms):
            raise ValueError(f"status {self.status.value!r} with {len(self.run_ms)} timed runs")
        return self


class MeasurementRecord(_Outcome):
    """The latency of one model on one platform, or why there is none.

    Attributes:
        schema_version: Version of this layout.
        platform: Name of the platform.
        latency_ms: Fastest run of all visits, in milliseconds; ``None`` when the measurement failed.
        visits: Visits that succeeded.
        runs: Timed runs in all of them.
        spread: (median over visits of the fastest run - ``latency_ms``) / ``latency_ms``: how often a visit comes
            near the minimum.  0 for one visit.

    ``wall_cpu_ratio`` and ``reference_ms`` are those of the visit that ``latency_ms`` comes from.
    """

    schema_version: Literal[1] = 1
    platform: str = Field(min_length=1)
    latency_ms: _PositiveFinite | None = None
    visits: int = Field(default=0, ge=0)
    runs: int = Field(default=0, ge=0)
    spread: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _latency_matches_status(self) -> Self:
        if (self.status is Status.OK) != (self.latency_ms is not None):
            raise ValueError(f"status {self.status.value!r} with latency_ms={self.latency_ms}")
        return self

    @property
    def is_trusted(self) -> bool:
        """Whether the latency stands whatever else the machine was doing.

        CPU time does; wall-clock time does only while the wall/CPU ratio stays within 10 % of 1.
        """
        if self.status is not Status.OK:
            return False
        if self.clock is Clock.CPU or self.wall_cpu_ratio is None:
            return True
        return abs(self.wall_cpu_ratio - 1) <= _WALL_CPU_TOLERANCE

    @classmethod
    def from_visits(cls, platform: str, visits: Sequence[Visit]) -> MeasurementRecord:
        """The record that the visits to one model add up to.

        One failed visit fails the model: a model that crashes now and then has no latency.

        Args:
            platform: Name of the platform they were made on.
            visits: All visits to one model, in the order they were made; at least one.

        Raises:
            DataError: No visits, visits to several models, or to one model at several batches.
        """
        _check_one_model(visits)
        failure = next((visit for visit in visits if visit.status is not Status.OK), None)
        if failure is not None:
            return cls(platform=platform, **failure.model_dump(exclude={"kind", "run_ms"}))
        best = min(visits, key=lambda visit: min(visit.run_ms))
        latency_ms = min(best.run_ms)
        return cls(
            platform=platform,
            latency_ms=latency_ms,
            visits=len(visits),
            runs=sum(len(visit.run_ms) for visit in visits),
            spread=median(min(visit.run_ms) for visit in visits) / latency_ms - 1,
            **best.model_dump(exclude={"kind", "run_ms", "measured_at"}),
            measured_at=visits[-1].measured_at,
        )


def _check_one_model(visits: Sequence[Visit]) -> None:
    names = {visit.model for visit in visits}
    variants = {(visit.batch, visit.model_hash) for visit in visits if visit.status is Status.OK}
    if len(names) != 1 or len(variants) > 1:
        raise DataError(
            f"a record is made from the visits to one graph at one batch; got {len(visits)} visits to the models "
            f"{sorted(names)}, {len(variants)} pairs of batch and graph among them. Group the visits first."
        )
