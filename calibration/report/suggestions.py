"""Which networks to measure next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from costmodel.calibration.network_profiles import LEAST_MS, NetworkProfiles
from costmodel.calibration.strategies import Mixture

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
) -> list[str]:
    """The networks that it is least known of how long they take, no two of them alike.

    Args:
        calibration: What is known so far.
        candidates: Networks that were not measured yet.
        names: Their names.
        count: How many to suggest, at most.

    Returns:
        Names, the most useful first.
    """
    if not names:
        return []
    unsure = _jackknife_variance(calibration.adaptation.chosen.left_out, candidates)
    return [names[row] for row in _unlike_rows(unsure + _LEAST_VARIANCE, candidates.embedding(), count)]


def _jackknife_variance(mixtures: Sequence[Mixture], candidates: NetworkProfiles) -> Float[np.ndarray, "candidates"]:
    """Variance of each candidate's log latency, from fits that leave out one measurement each (Tukey, 1958)."""
    log_ms = np.log([np.maximum(mixture.latency_ms(candidates), LEAST_MS) for mixture in mixtures])
    variance: Float[np.ndarray, "candidates"] = (len(mixtures) - 1) * log_ms.var(axis=0)
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
