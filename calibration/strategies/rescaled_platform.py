"""The new platform is a known one, so many times as slow."""

from __future__ import annotations

import numpy as np

from costmodel.calibration.strategies.base import CalibrationStrategy, Fits
from costmodel.calibration.strategies.mixture import Mixture
from costmodel.features.cost_term import CostTerm

__all__ = ["RescaledPlatform"]


class RescaledPlatform(CalibrationStrategy):
    """Picks the known platform whose latencies are most nearly proportional to those measured.

    One number is fitted, so one measurement will do; what every better strategy is held against.
    """

    name = "rescaled platform"

    def _fit(self, fits: Fits) -> Mixture:
        profiles, latency_ms = fits.profiles, fits.latency_ms
        log_ratio = np.log(latency_ms)[:, None] - np.log(profiles.latency_ms)
        scale = np.median(log_ratio, axis=0)
        best = int(np.abs(log_ratio - scale).mean(axis=0).argmin())
        mix = np.zeros((profiles.num_platforms, len(CostTerm)))
        mix[best] = np.exp(scale[best])
        return Mixture(mix, np.ones(profiles.term_ms.shape[2:]))
