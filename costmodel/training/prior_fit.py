"""The physical prior of whole networks: its first fit to a platform's labels, before any gradient step."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from costmodel.features.work import work_by_kernel
from costmodel.training.least_deviations import non_negative_least_deviations

__all__ = ["fit_rates", "prior_ms", "rates_of_work"]

_FLOOR = 1e-7
_LEAST_SHARE = 0.01
_SHRINKAGE = 0.01
"""Weight of a rate's relative distance from the platform's, chosen on left-out families between 0.003 and 1."""

_Totals = Float[np.ndarray, "graphs kernels 4"]


def prior_ms(
    totals: _Totals, log_rates: Float[np.ndarray, "kernels 4"], batch: Float[np.ndarray, "graphs"]
) -> Float[np.ndarray, "graphs"]:
    """Latency of each network by the prior alone, milliseconds; arguments as in :func:`fit_rates`."""
    predicted: Float[np.ndarray, "graphs"] = (work_by_kernel(totals, batch) * np.exp(log_rates)).sum(axis=(1, 2))
    return predicted


def fit_rates(
    totals: _Totals, latency_ms: Float[np.ndarray, "graphs"], batch: Float[np.ndarray, "graphs"]
) -> Float[np.ndarray, "kernels 4"]:
    """Log rates that explain the measured latencies best.

    They are milliseconds per GFLOP, per MB of activations, per MB of weights and per operation, of each
    class of kernels, found by non-negative least squares on relative errors, reweighted towards the least
    sum of absolute errors.  The rates of a class are shrunk towards those of the platform as a whole, so that a
    class that the networks hardly use gets those.  NaN latencies are left out.

    Args:
        totals: FLOPs, activation bytes, weight bytes (per image) and operations of each network, for each
            :class:`~costmodel.features.kernel_class.KernelClass`.
        latency_ms: Measured latency of a batch, milliseconds.
        batch: Images a batch.
    """
    known = ~np.isnan(latency_ms)
    guess: Float[np.ndarray, "kernels 4"] = np.log(
        rates_of_work(work_by_kernel(totals[known], batch[known]), latency_ms[known], _SHRINKAGE)
    )
    return guess


def rates_of_work(
    work: _Totals, latency_ms: Float[np.ndarray, "graphs"], shrinkage: float
) -> Float[np.ndarray, "kernels 4"]:
    """Milliseconds that a unit of each kind of work takes; all positive.

    Args:
        work: GFLOPs, MB of activations, MB of weights and operations in a run of each network, for each
            :class:`~costmodel.features.kernel_class.KernelClass`.
        latency_ms: Measured latency of a run, milliseconds.
        shrinkage: Weight of a rate's relative distance from the platform's.
    """
    explain = work / latency_ms[:, None, None]
    together = explain.sum(axis=1)
    overall = non_negative_least_deviations(together, np.ones(4), 0.0)
    # A rate that comes out as zero would be stuck there in log space.
    overall = np.where(overall > 0, overall, _LEAST_SHARE / np.maximum(np.median(together, axis=0), _FLOOR))
    start = np.tile(overall, explain.shape[1])
    found = non_negative_least_deviations(explain.reshape(len(explain), -1), start, shrinkage)
    rates: Float[np.ndarray, "kernels 4"] = np.maximum(found, _LEAST_SHARE * start).reshape(-1, 4)
    return rates
