"""Networks that leave no other far from all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from costmodel.calibration.selection.base import SelectionStrategy

__all__ = ["KCentreSelection"]


class KCentreSelection(SelectionStrategy):
    """Starts in the middle, then takes the network that is farthest from all taken so far (Gonzalez, 1985)."""

    name: ClassVar[str] = "k-centre"

    def _select(
        self, embedding: Float[np.ndarray, "networks axes"], count: int, rng: np.random.Generator
    ) -> Sequence[int]:
        # The seed decides between networks that are as good as alike.
        points = embedding + rng.normal(scale=1e-6, size=embedding.shape)
        distance = np.linalg.norm(points - points.mean(axis=0), axis=1)
        chosen = [int(distance.argmin())]
        distance = np.full(len(points), np.inf)
        while len(chosen) < count:
            distance = np.minimum(distance, np.linalg.norm(points - points[chosen[-1]], axis=1))
            distance[chosen] = -1
            chosen.append(int(distance.argmax()))
        return chosen
