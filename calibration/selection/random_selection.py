"""Any networks will do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from costmodel.calibration.selection.base import SelectionStrategy

__all__ = ["RandomSelection"]


class RandomSelection(SelectionStrategy):
    """Draws networks at random, each as likely as any other."""

    name: ClassVar[str] = "random"

    def _select(
        self, embedding: Float[np.ndarray, "networks axes"], count: int, rng: np.random.Generator
    ) -> Sequence[int]:
        chosen: list[int] = rng.choice(len(embedding), count, replace=False).tolist()
        return chosen
