"""Which networks to measure next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from costmodel.calibration.adaptation import STRATEGIES
from costmodel.calibration.network_profiles import LEAST_MS, NetworkProfiles
from costmodel.calibration.strategies import CalibrationStrategy
from costmodel.errors import UnknownNameError

if TYPE_CHECKING:
    from costmodel.calibration.calibration import Calibration

__all__ = ["suggest_next"]

_LEAST_VARIANCE = 1e-12
"""Where the fits agree on everything, being different from each other decides."""


def suggest_next(
    calibration: Calibration,
    candidates: NetworkProfiles,
    names: Sequence[str],
    count: int = 5,
    *,
    strategies: Sequence[CalibrationStrategy] = STRATEGIES,
) -> list[str]:
    """The networks that it is least known of how long they take, no two of them alike.

    Args:
        calibration: What is known so far.
        candidates: Networks that were not measured yet.
        names: Their names.
        count: How many to suggest, at most.
        strategies: The chosen one must be among them.

    Returns:
        Names, the most useful first.

    Raises:
        UnknownNameError: The strategy that was chosen is not among ``strategies``.
    """
    if not names:
        return []
    unsure = _jackknife_variance(calibration, candidates, _chosen_strategy(calibration, strategies))
    return [names[row] for row in _unlike_rows(unsure + _LEAST_VARIANCE, candidates.embedding(), count)]


def _chosen_strategy(calibration: Calibration, strategies: Sequence[CalibrationStrategy]) -> CalibrationStrategy:
    chosen = calibration.adaptation.chosen.strategy
    for strategy in strategies:
        if strategy.name == chosen:
            return strategy
    raise UnknownNameError("strategy", chosen, (strategy.name for strategy in strategies), "Pass strategies=.")


def _jackknife_variance(
    calibration: Calibration, candidates: NetworkProfiles, strategy: CalibrationStrategy
) -> Float[np.ndarray, "candidates"]:
    """Variance of each candidate's log latency, from fits that leave out one measurement each (Tukey, 1958)."""
    rows = np.arange(len(calibration.profiles))
    log_ms = np.empty((len(rows), len(candidates)))
    for row in rows:
        others = np.delete(rows, row)
        mixture = strategy.fit(calibration.profiles.subset(others), calibration.fitted_ms[others])
        log_ms[row] = np.log(np.maximum(mixture.latency_ms(candidates), LEAST_MS))
    variance: Float[np.ndarray, "candidates"] = (len(rows) - 1) * log_ms.var(axis=0)
    return variance


def _unlike_rows(
    variance: Float[np.ndarray, "candidates"], embedding: Float[np.ndarray, "candidates axes"], count: int
) -> list[int]:
    """Rows of large variance, each one's discounted by what those taken before tell of it.

    One that is taken tells all of its copies, and little of networks farther from it than most are from each other.
    """
    typical_distance = max(float((embedding**2).sum(axis=1).mean()), _LEAST_VARIANCE) ** 0.5
    untold = np.ones(len(variance))
    rows: list[int] = []
    while len(rows) < min(count, len(variance)):
        score = variance * untold
        score[rows] = -1
        rows.append(int(score.argmax()))
        distance = np.linalg.norm(embedding - embedding[rows[-1]], axis=1) / typical_distance
        untold = np.minimum(untold, -np.expm1(-(distance**2) / 2))
    return rows
