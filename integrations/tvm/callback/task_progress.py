"""How the tuning of one task goes, round by round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite, nan
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from costmodel.integrations.tvm.callback.predictions import Promise
from costmodel.integrations.tvm.learning.metrics import pair_accuracy

__all__ = ["Round", "TaskProgress"]


@dataclass(frozen=True, slots=True)
class Round:
    """What a round of measurements came to.

    Attributes:
        task: Name of the task.
        round: Number of the round among the task's, from 1.
        trials: Candidates of the task that were measured so far, failed ones included.
        failed: Those of them that did not build or run.
        best_ms: Time of the fastest so far; ``None`` while none has run.
        round_best_ms: Time of the fastest of this round; ``None`` when none has run.
        rank_accuracy: Share of the round's pairs of different times that the model had put in the right order, a tie
            counts half; ``None`` without a model or without such a pair.
        predicted_improvement: By which fraction the model expected the fastest of the round's candidates that ran to
            undercut the fastest of the rounds before; ``None`` where it cannot say.
        seconds: Wall-clock time since the callback was made.
        stopped: Whether the task was stopped after this round.
    """

    task: str
    round: int
    trials: int
    failed: int
    best_ms: float | None
    round_best_ms: float | None
    rank_accuracy: float | None
    predicted_improvement: float | None
    seconds: float
    stopped: bool = False


class TaskProgress:
    """State of one task.

    Args:
        name: What people call it.

    Attributes:
        name: Likewise.
        best: The fastest candidate so far.
        last: The last round.
        vain_rounds: Rounds in a row, up to the last, in which little was expected and little was gained.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.best: Any = None
        self.last: Round | None = None
        self.vain_rounds = 0
        self._rounds = 0
        self._trials = 0
        self._failed = 0
        self._best_ms = inf

    def add(
        self,
        candidates: Sequence[Any],
        run_ms: Float[np.ndarray, "candidates"],
        promise: Promise | None,
        seconds: float,
        stop_below: float | None = None,
    ) -> Round:
        """Take in a round.

        Args:
            candidates: What was measured.
            run_ms: Their times; NaN for those that failed.
            promise: What the model had said.
            seconds: See :class:`Round`.
            stop_below: Improvements below this fraction are little; see :attr:`vain_rounds`.
        """
        ran = np.isfinite(run_ms)
        before_ms, fastest_ms = self._best_ms, float(np.min(run_ms[ran])) if ran.any() else inf
        self._rounds += 1
        self._trials += len(candidates)
        self._failed += int((~ran).sum())
        if fastest_ms < self._best_ms:
            self._best_ms = fastest_ms
            self.best = candidates[int(np.nanargmin(run_ms))]
        improvement = promise.improvement(ran) if promise is not None else None
        if stop_below is not None and improvement is not None:
            gained = 1 - self._best_ms / before_ms
            self.vain_rounds = self.vain_rounds + 1 if max(improvement, gained) < stop_below else 0
        self.last = Round(
            task=self.name,
            round=self._rounds,
            trials=self._trials,
            failed=self._failed,
            best_ms=_known(self._best_ms),
            round_best_ms=_known(fastest_ms),
            rank_accuracy=_known(_rank_accuracy(promise, run_ms, ran)),
            predicted_improvement=improvement,
            seconds=seconds,
        )
        return self.last

    def stop(self, finished: Round) -> Round:
        """Note that the task was stopped after this round; tuned again, it starts patient."""
        self.vain_rounds = 0
        self.last = replace(finished, stopped=True)
        return self.last


def _rank_accuracy(
    promise: Promise | None, run_ms: Float[np.ndarray, "candidates"], ran: Bool[np.ndarray, "candidates"]
) -> float:
    if promise is None or not np.isfinite(promise.scores).all():
        return nan
    return pair_accuracy(-promise.scores[ran], run_ms[ran])


def _known(number: float) -> float | None:
    return number if isfinite(number) else None
