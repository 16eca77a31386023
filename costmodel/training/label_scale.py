"""Accuracies as training sees them: by their rank."""

from __future__ import annotations

from typing import Self

import numpy as np
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["LabelScale"]

_MOST_KNOTS = 129


class LabelScale(BaseModel):
    """Maps accuracies to normal scores and back.

    Accuracies of a search space lie close together at the top, with a long tail of networks that learn little; squared
    errors would be those of the tail.  By their normal scores, all ranks count alike.

    Attributes:
        percent: Accuracies, ascending.
        scores: The normal score of each.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    percent: tuple[float, ...] = Field(min_length=2)
    scores: tuple[float, ...] = Field(min_length=2)

    @model_validator(mode="after")
    def _ascend(self) -> Self:
        if len(self.percent) != len(self.scores):
            raise ValueError("expected a score for each accuracy")
        if not (np.diff(self.percent) > 0).all() or not (np.diff(self.scores) > 0).all():
            raise ValueError("expected accuracies and scores that ascend")
        return self

    @classmethod
    def of(cls, percent: Float[np.ndarray, "archs"]) -> Self:
        """Of labels that are not all the same; equal ones have one score, in the middle of their ranks."""
        from scipy.stats import norm

        values, counts = np.unique(percent, return_counts=True)
        middles = (np.cumsum(counts) - counts / 2) / len(percent)
        kept = np.unique(np.linspace(0, len(values) - 1, _MOST_KNOTS).round().astype(int))
        return cls(percent=tuple(values[kept].tolist()), scores=tuple(norm.ppf(middles[kept]).tolist()))

    def scores_of(self, percent: Float[np.ndarray, "archs"]) -> Float[np.ndarray, "archs"]:
        """Normal scores."""
        return _mapped(percent, self.percent, self.scores)

    def percent_of(self, scores: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
        """Accuracies, per cent; beyond the labels they go on as between the last two, up to 0 and 100."""
        mapped: Float[np.ndarray, "*shape"] = _mapped(scores, self.scores, self.percent).clip(0, 100)
        return mapped


def _mapped(
    x: Float[np.ndarray, "*shape"], xs: tuple[float, ...], ys: tuple[float, ...]
) -> Float[np.ndarray, "*shape"]:
    inside = np.interp(x, xs, ys)
    below = (np.minimum(x, xs[0]) - xs[0]) * (ys[1] - ys[0]) / (xs[1] - xs[0])
    above = (np.maximum(x, xs[-1]) - xs[-1]) * (ys[-1] - ys[-2]) / (xs[-1] - xs[-2])
    mapped: Float[np.ndarray, "*shape"] = inside + below + above
    return mapped
