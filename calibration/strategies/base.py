"""What a way of fitting a new platform must do, and the contract checked around it."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from jaxtyping import Float

from costmodel.calibration.network_profiles import NetworkProfiles
from costmodel.calibration.strategies.mixture import Mixture
from costmodel.errors import DataError

__all__ = ["CalibrationStrategy", "Fits"]


class CalibrationStrategy(ABC):
    """Fits a new platform to measurements of a few networks.

    A plug-in writes :meth:`_fit`.  Subclass :class:`costmodel.calibration.testing.StrategyConformance` to test one.
    """

    name: str
    """How reports call it."""

    least_networks: int = 1
    """Fewer than that tell it nothing."""

    @abstractmethod
    def _fit(self, fits: Fits) -> Mixture:
        """The mixture that explains the measurements best.

        Args:
            fits: The networks, at least :attr:`least_networks`, and their latencies, which are positive and finite; a
                strategy that starts from what another one finds asks for that with :meth:`Fits.of`.
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
        return Fits(profiles, latency_ms).of(self)


class Fits:
    """Measurements of a few networks and what strategies make of them, each fitted once however many build on it.

    Args:
        profiles: The networks that were measured.
        latency_ms: Their measured latencies, milliseconds.
    """

    def __init__(self, profiles: NetworkProfiles, latency_ms: Float[np.ndarray, "networks"]) -> None:
        self.profiles = profiles
        self.latency_ms = latency_ms
        self._mixtures: dict[CalibrationStrategy, Mixture] = {}

    def of(self, strategy: CalibrationStrategy) -> Mixture:
        """What ``strategy`` makes of the measurements.

        Raises:
            DataError: As :meth:`CalibrationStrategy.fit` does.
        """
        if strategy not in self._mixtures:
            self._mixtures[strategy] = self._checked(strategy)
        return self._mixtures[strategy]

    def _checked(self, strategy: CalibrationStrategy) -> Mixture:
        profiles, latency_ms = self.profiles, self.latency_ms
        if len(latency_ms) != len(profiles) or len(profiles) < strategy.least_networks:
            raise DataError(
                f"{strategy.name}: expected latencies of at least {strategy.least_networks} networks, "
                f"got {len(latency_ms)} of {len(profiles)}. Measure more."
            )
        if not (np.isfinite(latency_ms).all() and (latency_ms > 0).all()):
            raise DataError(f"{strategy.name}: expected latencies above 0 ms, got {latency_ms.tolist()}.")
        mixture = strategy._fit(self)
        predicted = mixture.latency_ms(profiles)
        if not (np.isfinite(predicted).all() and (predicted > 0).all()):
            raise DataError(f"{strategy.name}: fitted a platform on which networks take {predicted.min()} ms.")
        return mixture
