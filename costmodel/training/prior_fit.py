"""First guess of a platform's four rates, from totals alone, before any gradient step."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

__all__ = ["fit_rates"]

_TO_UNITS = np.array([1e-9, 1e-6, 1e-6, 1.0])
_FLOOR = 1e-7


def fit_rates(
    totals: Float[np.ndarray, "graphs 4"],
    latency_ms: Float[np.ndarray, "graphs"],
    batch: Float[np.ndarray, "graphs"],
) -> Float[np.ndarray, "4"]:
    """Log rates that explain the measured latencies best.

    They are milliseconds per GFLOP, per MB of activations, per MB of weights and per operation, found by
    non-negative least squares on relative errors.  NaN latencies are left out.

    Args:
        totals: FLOPs, activation bytes, weight bytes (per image) and operations of each network.
        latency_ms: Measured latency of a batch, milliseconds.
        batch: Images a batch.
    """
    from scipy.optimize import nnls

    known = ~np.isnan(latency_ms)
    flops, activations, weights, ops = totals[known].T
    images = batch[known]
    explain = np.stack([images * flops, images * activations, weights, ops], axis=1) * _TO_UNITS
    rates, _ = nnls(explain / latency_ms[known, None], np.ones(int(known.sum())))
    # A rate that comes out as zero would be stuck there in log space: give it a hundredth of the time instead.
    share = np.median(latency_ms[known, None] / np.maximum(explain, _FLOOR), axis=0) / 100
    guess: Float[np.ndarray, "4"] = np.log(np.maximum(np.where(rates > 0, rates, share), _FLOOR))
    return guess
