"""Which values an index takes as loops run: its stride along each, and how far it gets within the inner ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

__all__ = ["IndexRanges"]


@dataclass(frozen=True, slots=True)
class IndexRanges:
    """An integer expression over the loops around a statement, the outermost loop first.

    Everything about it is one array of three rows, so that arithmetic on indices is arithmetic on the array:

    * row 0: its value where all loops are at 0, then where the first loop alone is at 1, the second alone ...
    * rows 1 and 2: its least and greatest value while the loops from the d-th inwards run and those around them are at
      0, for d from 0 (all run) to the number of loops (none does).

    Attributes:
        values: The array.
    """

    values: Float[np.ndarray, "3 depths"]

    @classmethod
    def constant(cls, value: int, loops: int) -> IndexRanges:
        """A number."""
        return cls(np.full((3, loops + 1), float(value)))

    @classmethod
    def of_loop(cls, index: int, extent: int, loops: int) -> IndexRanges:
        """The variable of a loop, which counts from 0."""
        values = np.zeros((3, loops + 1))
        values[0, index + 1] = 1.0 if extent > 1 else 0.0
        values[2, : index + 1] = extent - 1
        return cls(values)

    @property
    def first(self) -> float:
        """Its value where all loops are at 0."""
        return float(self.values[0, 0])

    @property
    def strides(self) -> Float[np.ndarray, "loops"]:
        """What the first step of each loop adds."""
        strides: Float[np.ndarray, "loops"] = self.values[0, 1:] - self.values[0, 0]
        return strides

    @property
    def counts(self) -> Float[np.ndarray, "depths"]:
        """How many integers there are between the ends, by the first of the loops that run."""
        counts: Float[np.ndarray, "depths"] = self.values[2] - self.values[1] + 1
        return counts

    @property
    def moved_by(self) -> Bool[np.ndarray, "loops"]:
        """Which loops change it."""
        low, high = self.values[1:]
        moved: Bool[np.ndarray, "loops"] = (np.diff(low) != 0) | (np.diff(high) != 0) | (self.strides != 0)
        return moved

    @property
    def changed_by(self) -> tuple[int, int]:
        """The first loop that changes it, and the one after the last; (0, 0) if none does."""
        changes = np.flatnonzero(self.moved_by)
        return (int(changes[0]), int(changes[-1]) + 1) if len(changes) else (0, 0)

    def __add__(self, other: IndexRanges) -> IndexRanges:
        return IndexRanges(self.values + other.values)

    def __sub__(self, other: IndexRanges) -> IndexRanges:
        return IndexRanges(self.values - other.values[[0, 2, 1]])

    def __mul__(self, other: IndexRanges) -> IndexRanges:
        products = self.values[1:, None] * other.values[None, 1:]
        ends = products.reshape(4, -1)
        return IndexRanges(np.stack([self.values[0] * other.values[0], ends.min(axis=0), ends.max(axis=0)]))

    def scaled(self, factor: int) -> IndexRanges:
        """So many times as much."""
        return IndexRanges(factor * (self.values if factor >= 0 else self.values[[0, 2, 1]]))

    def __floordiv__(self, divisor: int) -> IndexRanges:
        return IndexRanges(np.floor_divide(self.values, divisor))

    def __mod__(self, divisor: int) -> IndexRanges:
        wraps = np.floor_divide(self.values[1], divisor) != np.floor_divide(self.values[2], divisor)
        rest = np.mod(self.values, divisor)
        rest[1, wraps], rest[2, wraps] = 0, divisor - 1
        return IndexRanges(rest)

    def minimum(self, other: IndexRanges) -> IndexRanges:
        """The lesser of two."""
        return IndexRanges(np.minimum(self.values, other.values))

    def maximum(self, other: IndexRanges) -> IndexRanges:
        """The greater of two."""
        return IndexRanges(np.maximum(self.values, other.values))
