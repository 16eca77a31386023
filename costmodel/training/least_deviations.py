"""Positive rates that explain measured latencies with the least relative errors."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

__all__ = ["non_negative_least_deviations"]

_ROUNDS = 6
_WITHIN = 0.03
"""Relative errors below this count as alike."""
_FLOOR = 1e-7


def non_negative_least_deviations(
    explain: Float[np.ndarray, "graphs rates"], start: Float[np.ndarray, "rates"], shrinkage: float
) -> Float[np.ndarray, "rates"]:
    """Non-negative ``x`` with ``explain @ x`` near one and ``x / start`` near one.

    The sum of absolute errors is made small by least squares, reweighted a few times.

    Args:
        explain: What one unit of each rate adds to the latency of each network, as a share of what was measured.
        start: What each rate is believed to be; positive.
        shrinkage: Weight of a rate's relative distance from ``start``; 0 for none.
    """
    from scipy.optimize import nnls

    scale = np.sqrt((explain**2).mean(axis=0)) + _FLOOR
    pull = np.sqrt(shrinkage) * np.diag(1 / np.maximum(start * scale, _FLOOR))
    weight = np.ones(len(explain))
    for _ in range(_ROUNDS):
        rows = np.vstack([explain / scale * weight[:, None], pull])
        scaled, _ = nnls(rows, np.concatenate([weight, pull @ (start * scale)]), maxiter=100 * rows.shape[1])
        off = np.abs(explain @ (scaled / scale) - 1)
        weight = 1 / np.sqrt(np.maximum(off, _WITHIN))
    found: Float[np.ndarray, "rates"] = scaled / scale
    return found
