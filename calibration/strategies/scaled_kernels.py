"""The new platform has something of several known ones, but its kernels are better or worse than theirs."""

from __future__ import annotations

import numpy as np

from costmodel.calibration.strategies.base import CalibrationStrategy, Fits
from costmodel.calibration.strategies.mixed_platforms import MixedPlatforms
from costmodel.calibration.strategies.mixture import Mixture
from costmodel.training.least_deviations import non_negative_least_deviations

__all__ = ["ScaledKernels"]

_SHRINKAGE = 1.0
"""Weight of a factor's distance from one; chosen between 0.1 and 1 on left-out groups of timm platforms."""


class ScaledKernels(CalibrationStrategy):
    """Mixes known platforms, then finds for each class of kernels and term of cost how many times as long it takes.

    Most factors stay near one: only those move that several measured networks agree on.

    Args:
        mixed_platforms: Finds the mixture.
    """

    name = "scaled kernels"
    least_networks = 2

    def __init__(self, mixed_platforms: MixedPlatforms | None = None) -> None:
        self.mixed_platforms = mixed_platforms or MixedPlatforms()

    def _fit(self, fits: Fits) -> Mixture:
        mix = fits.of(self.mixed_platforms).mix
        mixed = np.einsum("npkt,pt->nkt", fits.profiles.term_ms, mix)
        explain = mixed.reshape(len(mixed), -1) / fits.latency_ms[:, None]
        factors = non_negative_least_deviations(explain, np.ones(explain.shape[1]), _SHRINKAGE)
        return Mixture(mix, factors.reshape(mixed.shape[1:]))
