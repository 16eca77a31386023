"""Networks whose measurements pin down a linear model best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from costmodel.calibration.selection.base import SelectionStrategy

__all__ = ["DOptimalSelection"]

_PRIOR_VARIANCE = 10.0
_NOISE_VARIANCE = 0.3


class DOptimalSelection(SelectionStrategy):
    """Takes, again and again, the network that a Bayesian linear model is least sure of.

    That makes the determinant of the posterior precision grow the most at each step (Wynn, 1970).
    """

    name: ClassVar[str] = "d-optimal"

    def _select(
        self, embedding: Float[np.ndarray, "networks axes"], count: int, rng: np.random.Generator
    ) -> Sequence[int]:
        points = embedding + rng.normal(scale=1e-6, size=embedding.shape)
        covariance = np.eye(points.shape[1]) * _PRIOR_VARIANCE
        chosen: list[int] = []
        while len(chosen) < count:
            variance = np.einsum("na,ab,nb->n", points, covariance, points)
            variance[chosen] = -1
            chosen.append(int(variance.argmax()))
            gain = covariance @ points[chosen[-1]]
            covariance -= np.outer(gain, gain) / (_NOISE_VARIANCE + points[chosen[-1]] @ gain)
        return chosen
