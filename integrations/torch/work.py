"""What a part of a network does, and how long that takes on each platform."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import floor, frexp, ldexp

__all__ = ["Bound", "PlatformTime", "Work", "exact_step_ms", "in_steps"]

_MANTISSA_BITS = 53


class Bound(StrEnum):
    """What most of a part's time goes into."""

    COMPUTE = "compute"
    """Arithmetic."""
    MEMORY = "memory"
    """Reading and writing activations and weights."""
    OVERHEAD = "overhead"
    """Starting operations, whatever their size."""


@dataclass(frozen=True, slots=True)
class PlatformTime:
    """Predicted time of a part of a network on one platform, by what it goes into.

    The split is that of the prior: work times the platform's rates.

    Attributes:
        compute_ms: Arithmetic.
        memory_ms: Moving bytes.
        overhead_ms: Starting operations.
    """

    compute_ms: float = 0.0
    memory_ms: float = 0.0
    overhead_ms: float = 0.0

    @property
    def latency_ms(self) -> float:
        """All of it."""
        return self.compute_ms + self.memory_ms + self.overhead_ms

    @property
    def bound(self) -> Bound:
        """What most of it goes into."""
        times = {Bound.COMPUTE: self.compute_ms, Bound.MEMORY: self.memory_ms, Bound.OVERHEAD: self.overhead_ms}
        return max(times, key=lambda bound: times[bound])

    def __add__(self, other: PlatformTime) -> PlatformTime:
        return PlatformTime(
            self.compute_ms + other.compute_ms,
            self.memory_ms + other.memory_ms,
            self.overhead_ms + other.overhead_ms,
        )


@dataclass(frozen=True)
class Work:
    """An operation, or several of a network.  Sums are exact, in whatever order they are taken.

    Attributes:
        operations: How many operations that cost time it is.
        flops: Floating-point operations of a run.
        params: Learned parameters; those that several operations read count at the first one.
        bytes_moved: Bytes of activations and weights that are read and written.
        times: Time by name of the platform.
    """

    operations: int
    flops: int
    params: int
    bytes_moved: float
    times: Mapping[str, PlatformTime]

    @property
    def intensity(self) -> float:
        """FLOPs per byte moved; 0 when nothing is moved."""
        return self.flops / self.bytes_moved if self.bytes_moved else 0.0

    @classmethod
    def total(cls, parts: Iterable[Work], platforms: Iterable[str]) -> Work:
        """All ``parts`` together, on platforms that all of them have a time for."""
        parts = list(parts)
        return cls(
            operations=sum(part.operations for part in parts),
            flops=sum(part.flops for part in parts),
            params=sum(part.params for part in parts),
            bytes_moved=sum(part.bytes_moved for part in parts),
            times={name: sum((part.times[name] for part in parts), PlatformTime()) for name in platforms},
        )


def exact_step_ms(total_ms: float) -> float:
    """A step so small that it does not matter, of which floats up to twice ``total_ms`` are counted without rounding.

    Times that are multiples of it add up to the same sum in any order, as whole numbers do: the totals of modules are
    exactly that of the network.
    """
    _, exponent = frexp(total_ms)
    return ldexp(1.0, exponent + 1 - _MANTISSA_BITS)


def in_steps(latency_ms: float, step_ms: float) -> float:
    """``latency_ms`` as the next lower multiple of ``step_ms``."""
    return floor(latency_ms / step_ms) * step_ms
