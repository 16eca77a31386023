"""Trials for each of several tuning tasks, in proportion to what they weigh."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import floor, isfinite

from costmodel.errors import UsageError

__all__ = ["allocate_trials"]


def allocate_trials(shares: Sequence[float], total: int, *, least: int = 1, most: int | None = None) -> list[int]:
    """Share out trials.

    A task gets them in proportion to its share of the network's latency (see
    :func:`~costmodel.integrations.tvm.task_shares.task_shares`), but no fewer than ``least`` and no more than ``most``;
    what that takes or leaves is shared out among the others in proportion to theirs.  Fractions are rounded so that the
    largest remainders get one more (of equal ones, those of larger shares, then the first).

    Args:
        shares: One a task, not negative; they need not add up to 1, and all zero counts as all equal.
        total: Trials of all tasks together.
        least: Trials that each task gets at least.
        most: Trials that each gets at most; ``None`` for any number.

    Returns:
        Trials of each task, ``total`` together.

    Raises:
        UsageError: There are no tasks, a share is negative or not finite, or the bounds leave no way to share out
            ``total``.
    """
    _check(shares, total, least, most)
    exact = [Fraction(share) for share in shares]
    ideal = _within_bounds(exact, total, least, most)
    trials = [floor(amount) for amount in ideal]
    remainder = total - sum(trials)
    order = sorted(range(len(trials)), key=lambda task: (trials[task] - ideal[task], -exact[task], task))
    for task in order[:remainder]:
        trials[task] += 1
    return trials


def _within_bounds(shares: Sequence[Fraction], total: int, least: int, most: int | None) -> list[Fraction]:
    """Amounts that add up to ``total``, in proportion to the shares wherever no bound is in force."""
    fixed: dict[int, int] = {}
    while True:
        free = [task for task in range(len(shares)) if task not in fixed]
        left, weight = total - sum(fixed.values()), sum(shares[task] for task in free)
        # Tasks of no share that are left alone with trials take equal parts.
        amounts = {task: left * (shares[task] / weight if weight else Fraction(1, len(free))) for task in free}
        low = {task: least - amount for task, amount in amounts.items() if amount < least}
        high = {task: amount - most for task, amount in amounts.items() if most is not None and amount > most}
        if not low and not high:
            return [amounts.get(task, Fraction(fixed.get(task, 0))) for task in range(len(shares))]
        # Of the two, the one that takes more decides in which direction the others move, and stays in force there.
        if sum(low.values()) >= sum(high.values()):
            fixed |= dict.fromkeys(low, least)
        if most is not None and sum(high.values()) >= sum(low.values()):
            fixed |= dict.fromkeys(high, most)


def _check(shares: Sequence[float], total: int, least: int, most: int | None) -> None:
    count = len(shares)
    if not count:
        raise UsageError("there are no tasks to share trials out among; extract them from a legalised module.")
    for task, share in enumerate(shares):
        if not (isfinite(share) and share >= 0):
            raise UsageError(f"the share of task {task} is {share}; expected a finite number that is not negative.")
    if least < 0 or (most is not None and most < least):
        raise UsageError(f"expected 0 <= least <= most, got least={least} and most={most}.")
    if total < least * count:
        raise UsageError(
            f"{count} tasks of at least {least} trials take {least * count}, got {total}. Allow that, or lower least."
        )
    if most is not None and total > most * count:
        raise UsageError(
            f"{count} tasks of at most {most} trials take {most * count}, got {total}. Take that, or raise most."
        )
