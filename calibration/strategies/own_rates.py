"""The new platform is unlike any known one, and gets a roofline of its own."""

from __future__ import annotations

import numpy as np

from costmodel.calibration.strategies.base import CalibrationStrategy, Fits
from costmodel.calibration.strategies.mixture import Mixture
from costmodel.features.cost_term import CostTerm
from costmodel.training.prior_fit import rates_of_work

__all__ = ["OwnRates"]

_SHRINKAGE = 0.3
"""Weight of a rate's relative distance from the whole platform's; hardly matters between 0.1 and 1."""


class OwnRates(CalibrationStrategy):
    """Finds milliseconds per GFLOP, per megabyte of activations and of weights, and per operation.

    Each class of kernels has rates of its own as far as several measured networks agree on them.  Known platforms
    have no part in it.
    """

    name = "own rates"
    least_networks = 2

    def _fit(self, fits: Fits) -> Mixture:
        rates = rates_of_work(fits.profiles.work, fits.latency_ms, _SHRINKAGE)
        nothing = np.zeros((fits.profiles.num_platforms, len(CostTerm)))
        return Mixture(nothing, np.ones(rates.shape), rates)
