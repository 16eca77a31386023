"""Between what known platforms say and what the new one's own rates say."""

from __future__ import annotations

from dataclasses import replace

from costmodel.calibration.strategies.base import CalibrationStrategy, Fits
from costmodel.calibration.strategies.mixture import Mixture
from costmodel.calibration.strategies.own_rates import OwnRates
from costmodel.calibration.strategies.scaled_kernels import ScaledKernels

__all__ = ["Averaged"]


class Averaged(CalibrationStrategy):
    """The geometric mean of :class:`ScaledKernels` and :class:`OwnRates`, which err in different places.

    Args:
        scaled_kernels: The one.
        own_rates: The other.
    """

    name = "scaled kernels and own rates"
    least_networks = 2

    def __init__(self, scaled_kernels: ScaledKernels | None = None, own_rates: OwnRates | None = None) -> None:
        self.scaled_kernels = scaled_kernels or ScaledKernels()
        self.own_rates = own_rates or OwnRates()

    def _fit(self, fits: Fits) -> Mixture:
        return replace(fits.of(self.scaled_kernels), rates=fits.of(self.own_rates).rates)
