"""What a way of fitting a new platform must do, and the contract checked around it."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from jaxtyping import Float

from costmodel.calibration.network_profiles import NetworkProfiles
from costmodel.calibration.strategies.mixture import Mixture
from costmodel.errors import DataError

__all__ = ["CalibrationStrategy"]


class CalibrationStrategy(ABC):
    """Fits a new platform to measurements of a few networks.

    A plug-in writes :meth:`_fit`.  Subclass :class:`costmodel.calibration.testing.StrategyConformance` to test one.
    """

    name: str
    """How reports call it."""

    least_networks: int = 1
    """Fewer than that tell it nothing."""

    @abstractmethod
    def _fit(self, profiles: NetworkProfiles, latency_ms: Float[np.ndarray, "networks"]) -> Mixture:
        """The mixture that explains the measurements best.

        Args:
            profiles: The networks, at least :attr:`least_networks`.
            latency_ms: Their measured latencies, positive and finite.
        """

    def fit(self, profiles: NetworkProfiles, latency_ms: Float[np.ndarray, "networks"]) -> Mixture:
        """The mixture that explains the measurements best.

        Args:
            profiles: The networks that were measured.
            latency_ms: Their measured latencies, milliseconds.

        Raises:
            DataError: There are fewer than :attr:`least_networks`, or a latency is not positive and finite; or
                the plug-in broke its contract.
        """
        if len(latency_ms) != len(profiles) or len(profiles) < self.least_networks:
            raise DataError(
                f"{self.name}: expected latencies of at least {self.least_networks} networks, "
                f"got {len(latency_ms)} of {len(profiles)}. Measure more."
            )
        if not (np.isfinite(latency_ms).all() and (latency_ms > 0).all()):
            raise DataError(f"{self.name}: expected latencies above 0 ms, got {latency_ms.tolist()}.")
        mixture = self._fit(profiles, latency_ms)
        predicted = mixture.latency_ms(profiles)
        if not (np.isfinite(predicted).all() and (predicted > 0).all()):
            raise DataError(f"{self.name}: fitted a platform on which networks take {predicted.min()} ms.")
        return mixture
