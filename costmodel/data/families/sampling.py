"""Random choices shared by the families; all of them repeat with the seed of the generator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log
from typing import TypeVar

import numpy as np

__all__ = ["WidthScale", "between", "chance", "choose", "class_count", "log_between", "multiple_of"]

T = TypeVar("T")


def choose(rng: np.random.Generator, options: Sequence[T]) -> T:
    """One of ``options``; repeat an option to make it more likely."""
    return options[int(rng.integers(len(options)))]


def chance(rng: np.random.Generator, probability: float) -> bool:
    """True with ``probability``."""
    return bool(rng.random() < probability)


def between(rng: np.random.Generator, low: int, high: int) -> int:
    """An integer from ``low`` to ``high``, both included."""
    return int(rng.integers(low, high + 1))


def log_between(rng: np.random.Generator, low: float, high: float) -> float:
    """A number from ``low`` to ``high``, every octave as likely as the next."""
    return exp(rng.uniform(log(low), log(high)))


def multiple_of(step: int, value: float) -> int:
    """The multiple of ``step`` nearest to ``value``, at least ``step``."""
    return max(step, round(value / step) * step)


@dataclass(frozen=True, slots=True)
class WidthScale:
    """How one network variant departs from its family's published channel counts.

    Runtimes lay channels out in blocks of 4, 8 or 16, so a predictor has to see
    networks that respect the blocks and networks that do not.

    Attributes:
        multiplier: Factor on all channel counts.
        jitter: Largest relative departure of a single layer from ``multiplier``.
        granularity: Channel counts are multiples of this number.
    """

    multiplier: float
    jitter: float
    granularity: int

    @classmethod
    def draw(cls, rng: np.random.Generator, low: float, high: float) -> WidthScale:
        """A random rule whose multiplier lies between ``low`` and ``high``."""
        return cls(
            multiplier=log_between(rng, low, high),
            jitter=choose(rng, (0.0, 0.15, 0.3)),
            granularity=choose(rng, (8, 8, 8, 16, 4, 2, 1)),
        )

    def __call__(self, rng: np.random.Generator, channels: float) -> int:
        """The variant's channel count for a layer that was published with ``channels``."""
        factor = self.multiplier * (1 + self.jitter * rng.uniform(-1, 1))
        return multiple_of(self.granularity, channels * factor)


def class_count(rng: np.random.Generator) -> int:
    """Number of classes of an image classifier, ImageNet's 1000 as often as all others together."""
    return choose(rng, (1000, 1000, 1000, 10, 100, between(rng, 2, 400)))
