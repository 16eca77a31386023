"""How far predictions are from measurements.  Arrays are latencies in milliseconds, equal in length."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

__all__ = ["accuracy_within", "interval_coverage", "kendall_tau", "mape_percent"]

_Latencies = Float[np.ndarray, "measurements"]


def mape_percent(predicted: _Latencies, measured: _Latencies) -> float:
    """Mean absolute error in per cent of the measured latency."""
    return float(100 * np.mean(np.abs(predicted - measured) / measured))


def accuracy_within(predicted: _Latencies, measured: _Latencies, tolerance: float = 0.1) -> float:
    """Share, in per cent, of predictions within ``tolerance`` of the measured latency: Acc(10 %) by default."""
    return float(100 * np.mean(np.abs(predicted - measured) <= tolerance * measured))


def kendall_tau(predicted: _Latencies, measured: _Latencies) -> float:
    """Kendall's rank correlation (tau-b), from -1 to 1; NaN for fewer than two measurements."""
    from scipy.stats import kendalltau

    return float(kendalltau(predicted, measured).statistic)


def interval_coverage(low: _Latencies, high: _Latencies, measured: _Latencies) -> float:
    """Share, in per cent, of measurements inside their interval."""
    return float(100 * np.mean((low <= measured) & (measured <= high)))
