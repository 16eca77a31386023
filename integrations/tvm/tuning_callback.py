"""Watches MetaSchedule tune: a log, a table, checkpoints of the cost model, and an end where little is left to gain."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from math import nan
from pathlib import Path
from statistics import median
from time import monotonic
from typing import Any

import numpy as np
import tvm_ffi
from tvm.ir.utils import derived_object
from tvm.s_tir import meta_schedule as ms
from tvm.s_tir.meta_schedule.measure_callback import PyMeasureCallback, UpdateCostModel

from costmodel.errors import UsageError
from costmodel.files import replaced
from costmodel.integrations.tvm.callback import (
    LiveTable,
    Promise,
    Round,
    RoundLog,
    TaskProgress,
    log_times_of,
    stop_task,
)

__all__ = ["TuningCallback"]

logger = logging.getLogger(__name__)

# TVM hands exceptions from Python through C++ by name, and those it does not know come out as RuntimeError: without
# this, Ctrl-C in anything that C++ calls would look like a failure.
tvm_ffi.register_error("KeyboardInterrupt", KeyboardInterrupt)


@derived_object
class TuningCallback(PyMeasureCallback):  # type: ignore[misc]  # TVM has no types
    """Takes part in ``tune_tir``, ``tune_tasks`` or ``tune_relax`` after each round of measurements.

    Put it before TVM's own callbacks, one of which teaches the cost model the round: what a model says after it has
    seen the times is no prediction.  Where there is a checkpoint, put it behind them a second time, so that what is
    saved has learned from the last round too; from the place in front alone, it lacks that one::

        tuning = TuningCallback(cost_model=model, log="tuning.jsonl", checkpoint="model.safetensors")
        ms.tune_tir(..., cost_model=model, measure_callbacks=[tuning, *ms.MeasureCallback.create("default"), tuning])

    In a single place behind the update of its model, it compares no predictions and stops no task, and a warning says
    so.

    The predicted improvement of a round is by which fraction the model, before it learned from the round, expected the
    fastest of the round's candidates to undercut the fastest that was measured in the rounds before.  Those candidates
    are the best that the search had found by then (but for the few that it draws at random), and count only if they
    ran.  It is known one round late, as nobody knows the next candidates before the search proposes them; and it
    takes a cost model whose scores are times, as :class:`NNFormerCostModel`'s: it has an attribute
    ``scores_are_speeds`` or ``scores_are_log_times`` that is true.  Other models are compared by order alone.

    Of many predictions the best tends to promise too much, so that a task ends rather too late than too early.

    A task is stopped after ``patience`` rounds in a row of which each was expected to bring, and brought, less than
    ``stop_below``.  Its trials go to other tasks where the tuning has a common limit.

    Trouble with the table, the log or the checkpoint does not end the tuning: the first of each kind is a warning.

    Args:
        cost_model: The one whose predictions are compared with what is measured, usually the one that tunes; an object,
            not a name.
        log: A file that gets a JSON line a round and task, with the fields of
            :class:`~costmodel.integrations.tvm.callback.Round`; lines of earlier runs stay.
        checkpoint: A file for the cost model, written by its ``save`` and replaced as a whole after each round.
        stop_below: A fraction, e.g. 0.02 for two per cent; ``None`` stops nothing.
        patience: Rounds; see above.
        live: Whether to draw a table on stderr, one row a task; ``None`` for where that is a terminal.
        trials_per_task: What each task may take, for the table to tell how many stopping saved.

    Raises:
        UsageError: A number is out of range, the log cannot be written, or what was asked for needs a cost model or
            one whose scores are times.
    """

    def __init__(
        self,
        *,
        cost_model: Any = None,
        log: str | Path | None = None,
        checkpoint: str | Path | None = None,
        stop_below: float | None = None,
        patience: int = 2,
        live: bool | None = None,
        trials_per_task: int | None = None,
    ) -> None:
        super().__init__()
        _check(cost_model, checkpoint, stop_below, patience)
        self._cost_model = cost_model
        self._checkpoint = Path(checkpoint) if checkpoint is not None else None
        self._stop_below = stop_below
        self._patience = patience
        self._log = RoundLog(Path(log)) if log is not None else None
        drawn = sys.stderr is not None and sys.stderr.isatty() if live is None else live
        self._table = LiveTable(trials_per_task) if drawn else None
        self._tasks: dict[tuple[int, str], TaskProgress] = {}
        self._noted: Any = None
        """First candidate of the round that waits for the second call."""
        self._warned: set[str] = set()
        self._started = monotonic()

    @property
    def rounds(self) -> tuple[Round, ...]:
        """The last round of each task, tasks in the order of their first."""
        return tuple(task.last for task in self._tasks.values() if task.last is not None)

    def apply(
        self,
        task_scheduler: Any,
        task_id: int,
        measure_candidates: Sequence[Any],
        builder_results: Sequence[Any],  # noqa: ARG002  # a failed build has a failed run
        runner_results: Sequence[Any],
    ) -> None:
        """Take in a round; called by TVM, twice a round if the callback stands at two places."""
        candidates = list(measure_candidates)
        if self._noted is not None and candidates and _is_same(candidates[0], self._noted):
            self._noted = None
            self._save()
            return
        places = self._places(task_scheduler)
        context = task_scheduler.tasks_[task_id].ctx
        task = self._task(context)
        run_ms = np.array([_run_ms(result) for result in runner_results])
        promise = self._promise(context, task, candidates, may_know=self._knows(task_scheduler, places))
        finished = task.add(candidates, run_ms, promise, monotonic() - self._started, self._stop_below)
        if self._stop_below is not None and task.vain_rounds >= self._patience:
            stop_task(task_scheduler, task_id)
            finished = task.stop(finished)
        self._tell(finished)
        if len(places) > 1 and candidates:
            self._noted = candidates[0]
        else:
            self._save()

    def _task(self, context: Any) -> TaskProgress:
        """State of the task; one that is tuned a second time goes on."""
        key = (tvm_ffi.structural_hash(context.mod), str(context.target))
        if key not in self._tasks:
            name, names = str(context.task_name or "task"), {task.name for task in self._tasks.values()}
            number = 1 + sum(known == name or known.startswith(f"{name} (") for known in names)
            self._tasks[key] = TaskProgress(name if number == 1 else f"{name} ({number})")
        return self._tasks[key]

    def _promise(self, context: Any, task: TaskProgress, candidates: list[Any], *, may_know: bool) -> Promise | None:
        if self._cost_model is None or may_know or not candidates:
            return None
        asked = candidates if task.best is None else [*candidates, task.best]
        scores = np.asarray(self._cost_model.predict(context, asked), dtype=np.float64)
        log_times = log_times_of(scores, self._cost_model)
        count = len(candidates)
        if log_times is None:
            return Promise(scores[:count])
        best = float(log_times[count]) if task.best is not None else None
        return Promise(scores[:count], log_times[:count], best)

    def _places(self, task_scheduler: Any) -> list[int]:
        """Where this callback stands."""
        own = self._outer()
        return [place for place, found in enumerate(task_scheduler.measure_callbacks_) if _is_same(found, own)]

    def _knows(self, task_scheduler: Any, places: list[int]) -> bool:
        """Whether the model has learned from the round already."""
        updates = [
            place for place, found in enumerate(task_scheduler.measure_callbacks_) if isinstance(found, UpdateCostModel)
        ]
        tunes = task_scheduler.cost_model_
        if self._cost_model is None or not places or not updates or not _is_same(tunes, self._cost_model):
            return False
        if min(places) < min(updates):
            return False
        self._warn(
            "place",
            "the tuning callback stands behind the update of the cost model, so predictions cannot be compared with "
            "what was measured and no task is stopped. Put it first: [tuning, *MeasureCallback.create('default')]",
        )
        return True

    def _tell(self, finished: Round) -> None:
        if self._log is not None:
            try:
                self._log.append(finished)
            except OSError as error:
                self._warn("log", f"a round is missing from the tuning log: {error}")
        if self._table is not None:
            try:
                self._table.draw(self.rounds)
            except Exception as error:  # whatever a terminal or its library does, tuning goes on
                self._warn("table", f"the table of tuning tasks cannot be drawn: {error!r}")

    def _save(self) -> None:
        if self._checkpoint is None:
            return
        try:
            with replaced(self._checkpoint) as partial:
                self._cost_model.save(str(partial))
        except Exception as error:  # cost models are anybody's, and tuning goes on without a checkpoint
            self._warn("checkpoint", f"the cost model cannot be saved to {self._checkpoint}: {error!r}")

    def _warn(self, kind: str, message: str) -> None:
        if kind not in self._warned:
            self._warned.add(kind)
            logger.warning("%s", message)


def _check(cost_model: Any, checkpoint: str | Path | None, stop_below: float | None, patience: int) -> None:
    if cost_model is not None and not isinstance(cost_model, ms.CostModel):
        raise UsageError(
            f"cost_model: expected the CostModel object that tuning gets too, got {cost_model!r}. "
            "Make one with NNFormerCostModel.from_pretrained() or ms.CostModel.create(name)."
        )
    if checkpoint is not None and cost_model is None:
        raise UsageError("checkpoint: there is no cost model to save; give the callback the one that tunes.")
    if checkpoint is not None and Path(checkpoint).is_dir():
        raise UsageError(f"checkpoint: expected a file, got the folder {checkpoint}.")
    if patience < 1:
        raise UsageError(f"patience: expected at least 1 round, got {patience}.")
    if stop_below is None:
        return
    if not 0 <= stop_below < 1:
        raise UsageError(f"stop_below: expected a fraction from 0 to below 1, got {stop_below}.")
    if cost_model is None or log_times_of(np.ones(1), cost_model) is None:
        raise UsageError(
            f"stop_below needs a cost model whose scores are times, got {type(cost_model).__name__}. Use "
            "NNFormerCostModel, or leave stop_below out and limit the trials."
        )


def _run_ms(result: Any) -> float:
    """Median of a candidate's runs, as TVM's scheduler takes it; NaN if it failed."""
    if result.error_msg is not None or not result.run_secs:
        return nan
    secs = median(float(found) for found in result.run_secs)
    return 1e3 * secs if 0 < secs < float("inf") else nan


def _is_same(one: Any, other: Any) -> bool:
    """Whether two handles are of one TVM object."""
    return one is other or (hasattr(one, "same_as") and bool(one.same_as(other)))
