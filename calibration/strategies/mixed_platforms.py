"""The new platform has something of several known ones."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from jaxtyping import Float

from costmodel.calibration.network_profiles import NetworkProfiles
from costmodel.calibration.strategies.base import CalibrationStrategy
from costmodel.calibration.strategies.mixture import Mixture
from costmodel.training.least_deviations import non_negative_least_deviations

__all__ = ["MixedPlatforms"]

_SHRINKAGE = 0.01
"""Weight of the distance from an even mixture; chosen between 0.001 and 0.1 on left-out groups of timm platforms."""


class MixedPlatforms(CalibrationStrategy):
    """Adds up known platforms, each brought to the new one's speed first, starting from as much of each."""

    name: ClassVar[str] = "mixed platforms"
    least_networks: ClassVar[int] = 2

    def _fit(self, profiles: NetworkProfiles, latency_ms: Float[np.ndarray, "networks"]) -> Mixture:
        speed = np.exp((np.log(latency_ms)[:, None] - np.log(profiles.latency_ms)).mean(axis=0))
        explain = profiles.latency_ms * speed / latency_ms[:, None]
        even = np.full(profiles.num_platforms, 1 / profiles.num_platforms)
        mix = speed * non_negative_least_deviations(explain, even, _SHRINKAGE)
        return Mixture(mix, np.ones(profiles.term_ms.shape[2:]))
