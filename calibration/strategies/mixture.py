"""What a calibration comes to: a mixture of known platforms, its kernels faster or slower, or rates of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from costmodel.calibration.network_profiles import NetworkProfiles

__all__ = ["LogCorrection", "Mixture"]


@dataclass(frozen=True)
class LogCorrection:
    """A correction of a whole network's log latency, linear in the log latencies on known platforms.

    Attributes:
        offset: Its value where all of those are zero.
        weights: What a known platform's log latency, of milliseconds, adds.
        limit: It is cut off there, up and down: far from what was measured, a straight line leads anywhere.
    """

    offset: float
    weights: Float[np.ndarray, "platforms"]
    limit: float

    def of(self, latency_ms: Float[np.ndarray, "networks platforms"]) -> Float[np.ndarray, "networks"]:
        """The correction of each network, from its latencies on known platforms."""
        linear = self.offset + np.log(latency_ms) @ self.weights
        correction: Float[np.ndarray, "networks"] = np.clip(linear, -self.limit, self.limit)
        return correction


@dataclass(frozen=True)
class Mixture:
    """A new platform in terms of known ones; :class:`costmodel.pretrained.Adapter` has the equation.

    Attributes:
        mix: What it has of each known platform, for each term of its cost; not negative, and all zero only where
            there are rates.
        factors: How many times as long each class of kernels takes, for each term of its cost; not negative.
        rates: Its own milliseconds for a unit of work, by class of kernels and term.  Beside a mix, the latency is the
            geometric mean of both.
        correction: What is to be added to the log latency of the whole network.
    """

    mix: Float[np.ndarray, "platforms terms"]
    factors: Float[np.ndarray, "kernels terms"]
    rates: Float[np.ndarray, "kernels terms"] | None = None
    correction: LogCorrection | None = None

    @property
    def has_known_platforms(self) -> bool:
        """Whether any known platform has a part in it."""
        return bool(self.mix.any())

    def latency_ms(self, profiles: NetworkProfiles) -> Float[np.ndarray, "networks"]:
        """Latency of each network on the new platform, milliseconds."""
        latency: Float[np.ndarray, "networks"] = np.einsum("npkt,pt,kt->n", profiles.term_ms, self.mix, self.factors)
        if self.rates is not None:
            by_rates = np.einsum("nkt,kt->n", profiles.work, self.rates)
            latency = np.sqrt(latency * by_rates) if self.has_known_platforms else by_rates
        if self.correction is not None:
            latency = latency * np.exp(self.correction.of(profiles.latency_ms))
        return latency

    def shares(self, profiles: NetworkProfiles) -> Float[np.ndarray, "platforms"]:
        """Which part of the time of these networks comes from each known platform; zeros where none has a part.

        Weights of the mix cannot be compared between a fast platform and a slow one; the time they account for can.
        Every network counts alike, however large.
        """
        if not self.has_known_platforms:
            return np.zeros(len(self.mix))
        part_ms = np.einsum("npkt,pt,kt->np", profiles.term_ms, self.mix, self.factors)
        shares: Float[np.ndarray, "platforms"] = (part_ms / part_ms.sum(axis=1, keepdims=True)).mean(axis=0)
        return shares
