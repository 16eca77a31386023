"""How well a cost model orders the candidates of each task, unseen or after a few of them were measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
from jaxtyping import Float, Int

from costmodel.errors import UsageError
from costmodel.integrations.tvm.learning.metrics import pair_accuracy, top_k_score
from costmodel.integrations.tvm.model import CandidateModel
from costmodel.integrations.tvm.ranker import CandidateRanker
from costmodel.integrations.tvm.records import TaskRecords

__all__ = [
    "LEAST_REST",
    "MeanScore",
    "Measured",
    "Numbers",
    "Order",
    "Rest",
    "TaskScore",
    "mean_scores",
    "order_of_members",
    "score_order",
    "score_task",
]

Measured = Int[np.ndarray, "measured"]
Rest = Int[np.ndarray, "rest"]
Numbers = Float[np.ndarray, "rest"]

Order = Callable[[Measured, Rest], Numbers]
"""Given the rows that were measured, and those to put in order: a number for each of these, the least is fastest."""

LEAST_REST = 2
"""Candidates that have to be left to score a task on: one alone has no order."""


@dataclass(frozen=True, slots=True)
class TaskScore:
    """How well the candidates of a task were ordered; means over the draws of those that were measured.

    Attributes:
        task: Its name.
        kind: What sort of operator it is.
        candidates: All there are.
        measured: How many of them the model had learned from; the scores are of the rest.
        pair_accuracy: Share of pairs in the right order, see
            :func:`costmodel.integrations.tvm.learning.pair_accuracy`; ``None`` if all take the same time.
        top_1: Least time of all over that of the one that the model would choose.
        top_5: Likewise, of the best of the five that it would choose.
    """

    task: str
    kind: str
    candidates: int
    measured: int
    pair_accuracy: float | None
    top_1: float
    top_5: float


@dataclass(frozen=True, slots=True)
class MeanScore:
    """Means over tasks, each of which counts the same.

    Attributes:
        kind: The sort of operator that the tasks are of; ``None`` for all tasks.
        measured: As in :class:`TaskScore`.
        tasks: How many there are.
        pair_accuracy: Mean of the tasks that have one; ``None`` if none has.
        top_1: Mean.
        top_5: Mean.
    """

    kind: str | None
    measured: int
    tasks: int
    pair_accuracy: float | None
    top_1: float
    top_5: float


def score_task(
    members: Sequence[CandidateModel], task: TaskRecords, measured: int = 0, *, seeds: int = 3, seed: int = 0
) -> TaskScore:
    """Score models on a task, after they have learned from some of its candidates.

    Args:
        members: The models; left as they are.
        task: All its candidates.
        measured: As for :func:`score_order`, like all that follow.
        seeds: Likewise.
        seed: Likewise.

    Raises:
        UsageError: There are fewer than :data:`LEAST_REST` others, or a number makes no sense.
    """
    return score_order(order_of_members(members, task), task, measured, seeds=seeds, seed=seed)


def order_of_members(members: Sequence[CandidateModel], task: TaskRecords, *, exploration: float = 0.0) -> Order:
    """How models put the candidates of a task in order; they are left as they are.

    Args:
        members: The models.
        task: The candidates.
        exploration: As for :class:`CandidateRanker`; a search is better with some, the order of all candidates without.
    """

    def order(learned: Measured, rest: Rest) -> Numbers:
        ranker = CandidateRanker(members, exploration=exploration)
        known = task.subset(learned.tolist())
        ranker.learn(task.name, known.candidates, known.run_secs.tolist())
        numbers: Numbers = -np.log(ranker.scores(task.subset(rest.tolist()).candidates, task.name))
        return numbers

    return order


def score_order(order: Order, task: TaskRecords, measured: int = 0, *, seeds: int = 3, seed: int = 0) -> TaskScore:
    """Score whatever puts candidates in order.

    Args:
        order: What does.
        task: All its candidates.
        measured: How many of them, drawn at random, are learned from; the others are what is scored.
        seeds: How often that is done, each time with another draw; once where there is nothing to draw.
        seed: Of the first draw.

    Raises:
        UsageError: There are fewer than :data:`LEAST_REST` others, or a number makes no sense.
    """
    if measured < 0 or seeds < 1:
        raise UsageError(f"expected at least 0 measured candidates and 1 draw, got {measured} and {seeds}.")
    if len(task) < measured + LEAST_REST:
        raise UsageError(
            f"{task.name} has {len(task)} candidates; expected at least {measured + LEAST_REST}, {measured} to learn "
            f"from and {LEAST_REST} to score on."
        )
    draws = range(seed, seed + (seeds if measured else 1))
    scores = np.array([_scores(order, task, measured, draw) for draw in draws]).mean(axis=0)
    accuracy, top_1, top_5 = map(float, scores)
    return TaskScore(task.name, task.kind, len(task), measured, accuracy if isfinite(accuracy) else None, top_1, top_5)


def mean_scores(scores: Iterable[TaskScore]) -> list[MeanScore]:
    """Means of each kind, in alphabetical order, then of all tasks; of each with as many measured candidates."""
    found = list(scores)
    kinds: list[str | None] = [*sorted({score.kind for score in found}), None]
    counts = sorted({score.measured for score in found})
    means = []
    for kind in kinds:
        for measured in counts:
            some = [score for score in found if score.measured == measured and kind in (None, score.kind)]
            if some:
                means.append(_mean(kind, measured, some))
    return means


def _mean(kind: str | None, measured: int, scores: Sequence[TaskScore]) -> MeanScore:
    accuracies = [score.pair_accuracy for score in scores if score.pair_accuracy is not None]
    return MeanScore(
        kind,
        measured,
        len(scores),
        float(np.mean(accuracies)) if accuracies else None,
        float(np.mean([score.top_1 for score in scores])),
        float(np.mean([score.top_5 for score in scores])),
    )


def _scores(order: Order, task: TaskRecords, measured: int, seed: int) -> tuple[float, float, float]:
    rows = np.random.default_rng(seed).permutation(len(task))
    learned, rest = rows[:measured], rows[measured:]
    predicted, run_secs = order(learned, rest), task.run_secs[rest]
    return (
        pair_accuracy(predicted, run_secs),
        top_k_score(predicted, run_secs, 1),
        top_k_score(predicted, run_secs, 5),
    )
