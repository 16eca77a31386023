"""Networks that each stand for a share of all."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from costmodel.calibration.selection.base import SelectionStrategy

__all__ = ["RepresentativeSelection"]


class RepresentativeSelection(SelectionStrategy):
    """Divides the networks into clusters by k-means and takes the one in the middle of each, the largest first.

    Other than the farthest networks, these are no outliers: what is learnt from them holds for many.
    """

    name: ClassVar[str] = "representative"

    def _select(
        self, embedding: Float[np.ndarray, "networks axes"], count: int, rng: np.random.Generator
    ) -> Sequence[int]:
        from scipy.cluster.vq import kmeans2

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an empty cluster, whose centre is as good a place as any
            centres, cluster = kmeans2(embedding, count, minit="++", rng=rng)
        sizes = np.bincount(cluster, minlength=count)
        distance = np.linalg.norm(embedding[:, None] - centres, axis=2)
        chosen: list[int] = []
        for centre in np.argsort(-sizes, kind="stable"):
            distance[chosen, centre] = np.inf
            chosen.append(int(distance[:, centre].argmin()))
        return chosen
