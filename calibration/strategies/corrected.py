"""Another strategy's platform, and what a straight line can make of its errors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from costmodel.calibration.strategies.base import CalibrationStrategy, Fits
from costmodel.calibration.strategies.mixture import LogCorrection, Mixture

__all__ = ["Corrected"]

_RIDGE = 1.0
"""Weight of the slopes, in standard deviations of the known platforms' log latencies; chosen between 0.5 and 3."""

_LIMIT = 1.5
"""How much larger than on any measured network a correction may be."""

_LEAST_SPREAD = 1e-6


class Corrected(CalibrationStrategy):
    """Fits another strategy, then its log errors by ridge regression on the log latencies on known platforms.

    A sum of known platforms cannot take part of one away; a difference of their logarithms can: a network that is
    slow on phones for its size, say, and fast on graphics cards.

    Args:
        base: The other strategy.
    """

    least_networks = 3

    def __init__(self, base: CalibrationStrategy) -> None:
        self.base = base
        self.name = f"{base.name}, corrected"

    def _fit(self, fits: Fits) -> Mixture:
        profiles, latency_ms, mixture = fits.profiles, fits.latency_ms, fits.of(self.base)
        log_error = np.log(latency_ms / mixture.latency_ms(profiles))
        log_known = np.log(profiles.latency_ms)
        centre, spread = log_known.mean(axis=0), np.maximum(log_known.std(axis=0), _LEAST_SPREAD)
        axes = (log_known - centre) / spread
        slopes = np.linalg.solve(
            axes.T @ axes + _RIDGE * np.eye(axes.shape[1]), axes.T @ (log_error - log_error.mean())
        )
        weights = slopes / spread
        offset = float(log_error.mean() - centre @ weights)
        limit = _LIMIT * float(np.abs(offset + log_known @ weights).max())
        return replace(mixture, correction=LogCorrection(offset, weights, limit))
