"""Between what known platforms say and what the new one's own rates say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from costmodel.calibration.network_profiles import NetworkProfiles
from costmodel.calibration.strategies.base import CalibrationStrategy
from costmodel.calibration.strategies.mixture import Mixture
from costmodel.calibration.strategies.own_rates import OwnRates
from costmodel.calibration.strategies.scaled_kernels import ScaledKernels

__all__ = ["Averaged"]


class Averaged(CalibrationStrategy):
    """The geometric mean of :class:`ScaledKernels` and :class:`OwnRates`, which err in different places."""

    name = "scaled kernels and own rates"
    least_networks = 2

    def _fit(self, profiles: NetworkProfiles, latency_ms: Float[np.ndarray, "networks"]) -> Mixture:
        scaled = ScaledKernels().fit(profiles, latency_ms)
        return replace(scaled, rates=OwnRates().fit(profiles, latency_ms).rates)
