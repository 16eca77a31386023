"""What a way of choosing networks to measure must do, and the contract checked around it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from costmodel.errors import DataError, UsageError

__all__ = ["SelectionStrategy"]


class SelectionStrategy(ABC):
    """Chooses which networks to measure on a new device, before anything is known of it.

    A plug-in writes :meth:`_select`.  Subclass :class:`costmodel.calibration.testing.SelectionConformance` to test one.
    """

    name: ClassVar[str]
    """How reports and the command line call it."""

    @abstractmethod
    def _select(
        self, embedding: Float[np.ndarray, "networks axes"], count: int, rng: np.random.Generator
    ) -> Sequence[int]:
        """``count`` different rows of ``embedding``, the first the most useful."""

    def select(self, embedding: Float[np.ndarray, "networks axes"], count: int, *, seed: int = 0) -> list[int]:
        """Rows of the networks to measure.

        Args:
            embedding: Where each candidate stands, see :meth:`NetworkProfiles.embedding`.
            count: How many to choose.
            seed: Of whatever is random in it; the same seed chooses the same networks.

        Raises:
            UsageError: There are fewer candidates than that.
            DataError: The plug-in broke its contract.
        """
        if not 1 <= count <= len(embedding):
            raise UsageError(f"expected to choose between 1 and {len(embedding)} networks, got {count}.")
        chosen = [int(row) for row in self._select(embedding, count, np.random.default_rng(seed))]
        if len(chosen) != count or len(set(chosen)) != count or not all(0 <= row < len(embedding) for row in chosen):
            raise DataError(f"{self.name}: asked for {count} different rows of {len(embedding)}, got {chosen}.")
        return chosen
