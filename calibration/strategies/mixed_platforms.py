"""The new platform has something of several known ones."""

from __future__ import annotations

import numpy as np

from costmodel.calibration.network_profiles import LEAST_MS
from costmodel.calibration.strategies.base import CalibrationStrategy, Fits
from costmodel.calibration.strategies.mixture import Mixture
from costmodel.features.cost_term import GROWS_WITH_BATCH, CostTerm
from costmodel.training.least_deviations import non_negative_least_deviations

__all__ = ["MixedPlatforms"]

_SHRINKAGE = 0.03
"""Weight of the distance from an even mixture; chosen between 0.003 and 0.03 on timm's i9, left out."""

_WHOLE = np.ones(len(CostTerm))
_WORK = GROWS_WITH_BATCH.astype(float)
"""What is left of a platform in large batches."""


class MixedPlatforms(CalibrationStrategy):
    """Adds up known platforms, and known platforms in large batches, starting from as much of each.

    Each is brought to the new one's speed first.  A graphics card that spends its time on starting operations at
    batch 1 has little in common with a processor, but the same card in large batches has.
    """

    name = "mixed platforms"
    least_networks = 2

    def _fit(self, fits: Fits) -> Mixture:
        profiles, latency_ms = fits.profiles, fits.latency_ms
        by_term = profiles.term_ms.sum(axis=2)
        parts_ms = np.maximum(np.concatenate([by_term @ _WHOLE, by_term @ _WORK], axis=1), LEAST_MS)
        speed = np.exp((np.log(latency_ms)[:, None] - np.log(parts_ms)).mean(axis=0))
        explain = parts_ms * speed / latency_ms[:, None]
        even = np.full(len(speed), 1 / len(speed))
        whole, work = np.split(speed * non_negative_least_deviations(explain, even, _SHRINKAGE), 2)
        return Mixture(np.outer(whole, _WHOLE) + np.outer(work, _WORK), np.ones(profiles.term_ms.shape[2:]))
