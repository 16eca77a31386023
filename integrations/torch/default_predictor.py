"""The predictor of those who name none."""

from __future__ import annotations

from functools import cache

from costmodel.predictor import Predictor

__all__ = ["default_predictor"]


@cache
def default_predictor() -> Predictor:
    """The weights that come with the package, read once a process."""
    return Predictor.from_pretrained()
