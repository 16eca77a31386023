"""The new platform has something of several known ones, but its kernels are better or worse than theirs."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from costmodel.calibration.network_profiles import NetworkProfiles
from costmodel.calibration.strategies.base import CalibrationStrategy
from costmodel.calibration.strategies.mixed_platforms import MixedPlatforms
from costmodel.calibration.strategies.mixture import Mixture
from costmodel.training.least_deviations import non_negative_least_deviations

__all__ = ["ScaledKernels"]

_SHRINKAGE = 1.0
"""Weight of a factor's distance from one; chosen between 0.1 and 1 on left-out groups of timm platforms."""


class ScaledKernels(CalibrationStrategy):
    """Mixes known platforms, then finds for each class of kernels and term of cost how many times as long it takes.

    Most factors stay near one: only those move that several measured networks agree on.
    """

    name = "scaled kernels"
    least_networks = 2

    def _fit(self, profiles: NetworkProfiles, latency_ms: Float[np.ndarray, "networks"]) -> Mixture:
        mix = MixedPlatforms().fit(profiles, latency_ms).mix
        mixed = np.einsum("npkt,pt->nkt", profiles.term_ms, mix)
        explain = mixed.reshape(len(profiles), -1) / latency_ms[:, None]
        factors = non_negative_least_deviations(explain, np.ones(explain.shape[1]), _SHRINKAGE)
        return Mixture(mix, factors.reshape(mixed.shape[1:]))
