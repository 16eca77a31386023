"""How well candidates of a task are put in order."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

__all__ = ["pair_accuracy", "top_k_score"]

_Times = Float[np.ndarray, "candidates"]


def pair_accuracy(predicted: _Times, measured: _Times, *, least_difference: float = 0.0) -> float:
    """Share of pairs of different times that are predicted in the right order; a tie counts half.

    Args:
        predicted: Times or logarithms of times of one task.
        measured: Likewise.
        least_difference: Pairs whose measured values differ by no more than that are left out.
    """
    above, below = np.nonzero(measured[:, None] - measured[None, :] > least_difference)
    if not len(above):
        return float("nan")
    difference = predicted[above] - predicted[below]
    return float(((difference > 0) + 0.5 * (difference == 0)).mean())


def top_k_score(predicted: _Times, run_secs: _Times, k: int) -> float:
    """Least time of all candidates over the least of the ``k`` predicted to be fastest (Zhai et al., TLP, 2023)."""
    chosen = np.argsort(predicted, kind="stable")[:k]
    return float(run_secs.min() / run_secs[chosen].min())
