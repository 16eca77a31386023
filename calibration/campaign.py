"""Measuring many models: round after round, so that each model is visited at many moments."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic, sleep

from pydantic import JsonValue

from costmodel.calibration.crew import Crew
from costmodel.calibration.measurers.base import Measurer
from costmodel.calibration.sources import ModelSource
from costmodel.calibration.worker import Outcome
from costmodel.data.journal import Journal, JournalHeader
from costmodel.data.records import MeasurementRecord, Status, Visit
from costmodel.errors import DataError, UsageError
from costmodel.platforms.environment import default_platform_name

__all__ = ["Campaign", "Progress", "as_visit"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a campaign is.

    Attributes:
        done: Visits made or no longer needed, those of earlier runs included.
        total: Visits of the whole campaign.
        last: The visit just made; ``None`` before the first one.
    """

    done: int
    total: int
    last: Visit | None = None


class Campaign:
    """Visits every model ``visits`` times, in rounds, and keeps the fastest run of each.

    A disturbance lasts seconds to minutes; going round all models puts a model's visits that far apart.  Every
    visit is in the journal, on the disk, before its worker starts the next one: killed at any moment, the same
    campaign on the same journal goes on where it stopped.  A model that crashes, hangs or is refused gets a failed
    record.

    Args:
        sources: The models; their names must differ.
        measurer: How to time them.
        journal: Where to keep the visits; an existing one is continued.
        platform: Name of the platform; by default made from the environment.
        batch: Batch to run at; ``None`` for each model's own, 1 where that is symbolic.
        visits: Visits to each model; may be raised when a journal is continued.
        runs: Timed runs in a visit.
        round_interval_s: Seconds from the start of one round to the start of the next, at least: with few models,
            rounds would otherwise all fall into one disturbance.
        time_limit_s: A visit that takes longer counts as hung.
        workers: Processes that visit different models at once; more than one only where each has a device of its own,
            or they disturb each other.

    Raises:
        UsageError: No models, two of one name, or a number below its minimum.
    """

    def __init__(
        self,
        sources: Sequence[ModelSource],
        measurer: Measurer,
        journal: Journal | str | os.PathLike[str],
        *,
        platform: str | None = None,
        batch: int | None = None,
        visits: int = 10,
        runs: int = 3,
        round_interval_s: float = 5.0,
        time_limit_s: float = 120.0,
        workers: int = 1,
    ) -> None:
        _check_sources(sources)
        minima = {"visits": visits, "runs": runs, "batch": 1 if batch is None else batch, "workers": workers}
        for name, value in minima.items():
            if value < 1:
                raise UsageError(f"expected {name} of at least 1, got {value}.")
        if time_limit_s <= 0:
            raise UsageError(f"expected a time limit above 0 s, got {time_limit_s:g}.")
        self.sources = tuple(sources)
        self.measurer = measurer
        self.journal = journal if isinstance(journal, Journal) else Journal(journal)
        self.batch = batch
        self.visits = visits
        self.runs = runs
        self.round_interval_s = round_interval_s
        self.time_limit_s = time_limit_s
        self.workers = workers
        environment = measurer.environment()
        self.header = JournalHeader(
            platform=platform or default_platform_name(environment, measurer.precision),
            environment=environment,
            settings={**measurer.settings(), "batch": batch, "runs": runs},
        )

    @property
    def platform(self) -> str:
        """Name of the platform that the records are filed under."""
        return self.header.platform

    def run(self, progress: Callable[[Progress], None] | None = None) -> list[MeasurementRecord]:
        """Make the visits that are still to be made.

        Args:
            progress: Called at the start and after every visit.

        Returns:
            One record for each model, in the order of the sources.

        Raises:
            DataError: The journal cannot be written, belongs to other conditions or to another model of that name.
            MeasurementError: A measuring process does not start.
            NoDeviceError: There is nothing left to measure on.
            KeyboardInterrupt: Ctrl-C; all finished visits are in the journal.
        """
        report = progress or _ignore
        pace = _Pace(self.round_interval_s)
        crew = Crew(self.measurer, self.time_limit_s, self.workers)
        with self.journal.writer(self.header) as writer, crew:
            history = self._history()
            report(self._progress(history))
            for round_number in range(self.visits):
                due = [source for source in self.sources if _is_due(history[source.name], round_number)]
                if due:
                    pace.wait()
                for source, outcome in crew.visit_each(due, self.batch, self.runs):
                    visit = as_visit(source.name, outcome)
                    _check_same_model(history[source.name], visit)
                    writer.append(visit)
                    history[source.name].append(visit)
                    report(self._progress(history, visit))
        records = [MeasurementRecord.from_visits(self.platform, history[source.name]) for source in self.sources]
        self._warn_of_failures(records)
        return records

    def _warn_of_failures(self, records: Sequence[MeasurementRecord]) -> None:
        failed = [record for record in records if record.status is not Status.OK]
        for record in failed:
            logger.warning("%s %s: %s.", record.model, record.status, record.reason.rstrip("."))
        if failed:
            logger.warning(
                "%d of %d models failed. To try one again, take its failed visit out of %s and run the same command.",
                len(failed),
                len(records),
                self.journal.path,
            )

    def _history(self) -> dict[str, list[Visit]]:
        known = self.journal.read().by_model()
        return {source.name: known.get(source.name, []) for source in self.sources}

    def _progress(self, history: Mapping[str, Sequence[Visit]], last: Visit | None = None) -> Progress:
        done = sum(self.visits if _has_failed(past) else min(len(past), self.visits) for past in history.values())
        return Progress(done, self.visits * len(self.sources), last)


class _Pace:
    """Keeps the starts of rounds apart."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._next_start = monotonic()

    def wait(self) -> None:
        sleep(max(self._next_start - monotonic(), 0))
        self._next_start = monotonic() + self._interval_s


def _ignore(_: Progress) -> None:
    """Report to nobody."""


def _check_sources(sources: Sequence[ModelSource]) -> None:
    if not sources:
        raise UsageError("nothing to measure: expected at least one model.")
    twice = [name for name, count in Counter(source.name for source in sources).items() if count > 1]
    if twice:
        raise UsageError(
            f"several models are called {', '.join(twice)}; measurements are filed by name, so rename them."
        )


def _is_due(past: Sequence[Visit], round_number: int) -> bool:
    return len(past) <= round_number and not _has_failed(past)


def _has_failed(visits: Sequence[Visit]) -> bool:
    return any(visit.status is not Status.OK for visit in visits)


def _check_same_model(past: Sequence[Visit], visit: Visit) -> None:
    if past and visit.model_hash is not None and past[-1].model_hash not in (None, visit.model_hash):
        raise DataError(
            f"the model {visit.model!r} is not the one that the journal has {len(past)} visits to: its graph changed. "
            "Measure it under another name, or into another file."
        )


def as_visit(model: str, outcome: Outcome) -> Visit:
    """What is kept of a visit to ``model`` that has just ended."""
    timed: dict[str, JsonValue] = {}
    if outcome.timing is not None:
        times = outcome.timing.times
        timed = {
            "run_ms": list(times.run_ms),
            "clock": times.clock,
            "wall_cpu_ratio": times.wall_cpu_ratio,
            "reference_ms": outcome.timing.reference_ms,
        }
    return Visit.model_validate(
        {
            "model": model,
            "model_hash": outcome.model_hash,
            "batch": outcome.batch,
            "status": outcome.status,
            "reason": outcome.reason,
            "measured_at": datetime.now(UTC),
            **timed,
        }
    )
