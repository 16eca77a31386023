"""From values to places on a chart, and the round values to label there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

__all__ = ["LinearScale", "LogScale"]

_ROUND = (1, 2, 5)
_MOST_TICKS = 7
_MARGIN = 1.05
"""No mark stands on the edge."""


@dataclass(frozen=True, slots=True)
class LogScale:
    """Places values by their logarithm.

    Attributes:
        low: Value at ``start``; 1, 2 or 5 times a power of ten.
        high: Value at ``end``; the same.
        start: Where the scale begins, in the chart's units.
        end: Where it ends.
    """

    low: float
    high: float
    start: float
    end: float

    @classmethod
    def over(cls, values: Iterable[float], start: float, end: float) -> LogScale:
        """The shortest scale that holds all ``values``, which are positive."""
        values = list(values)
        least, most = min(values) / _MARGIN, max(values) * _MARGIN
        rounded = _round_values(least, most)
        return cls(
            max(value for value in rounded if value <= least),
            min(value for value in rounded if value >= most),
            start,
            end,
        )

    def __call__(self, value: float) -> float:
        """Where ``value`` stands."""
        return self.start + (self.end - self.start) * log10(value / self.low) / log10(self.high / self.low)

    def ticks(self) -> list[float]:
        """A few round values: 1, 2, 5, 10 …, or only powers of ten where those would be many."""
        inside = [value for value in _round_values(self.low, self.high) if self.low <= value <= self.high]
        if len(inside) <= _MOST_TICKS:
            return inside
        powers = [10.0**power for power in range(ceil(log10(self.low)), floor(log10(self.high)) + 1)]
        return powers[:: ceil(len(powers) / _MOST_TICKS)]


@dataclass(frozen=True, slots=True)
class LinearScale:
    """Places values in proportion, from zero.

    Attributes:
        step: Distance between two ticks; 1, 2 or 5 times a power of ten.
        high: Value at ``end``, a multiple of ``step``.
        start: Where zero stands, in the chart's units.
        end: Where the scale ends.
    """

    step: float
    high: float
    start: float
    end: float

    @classmethod
    def up_to(cls, most: float, start: float, end: float) -> LinearScale:
        """A scale from zero to at least ``most``, which is positive."""
        steps: Sequence[float] = _round_values(most / _MOST_TICKS, most)
        step = next(step for step in steps if step * (_MOST_TICKS - 1) >= most)
        return cls(step, step * ceil(most / step), start, end)

    def __call__(self, value: float) -> float:
        """Where ``value`` stands."""
        return self.start + (self.end - self.start) * value / self.high

    def ticks(self) -> list[float]:
        """Round values from zero to the end."""
        return [self.step * index for index in range(round(self.high / self.step) + 1)]


def _round_values(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten, from one that is no higher than ``low`` to one that is no lower than ``high``."""
    powers = range(floor(log10(low)), ceil(log10(high)) + 1)
    return [float(f"{digit}e{power}") for power in powers for digit in _ROUND]
