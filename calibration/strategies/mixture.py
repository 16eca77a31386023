"""What a calibration comes to: a mixture of known platforms, its kernels faster or slower."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from costmodel.calibration.network_profiles import NetworkProfiles

__all__ = ["Mixture"]


@dataclass(frozen=True)
class Mixture:
    """A new platform in terms of known ones; :class:`costmodel.pretrained.Adapter` has the equation.

    Attributes:
        mix: What it has of each known platform, for each term of its cost; not negative, not all zero.
        factors: How many times as long each class of kernels takes, for each term of its cost; not negative.
    """

    mix: Float[np.ndarray, "platforms terms"]
    factors: Float[np.ndarray, "kernels terms"]

    def latency_ms(self, profiles: NetworkProfiles) -> Float[np.ndarray, "networks"]:
        """Latency of each network on the new platform, milliseconds."""
        latency: Float[np.ndarray, "networks"] = np.einsum("npkt,pt,kt->n", profiles.term_ms, self.mix, self.factors)
        return latency
