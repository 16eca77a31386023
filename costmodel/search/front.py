"""What is worth having of many candidates: those that no other beats in both objectives."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

__all__ = ["Candidate", "hypervolume", "pareto_front"]


class Candidate(NamedTuple):
    """An architecture and what is expected of it.

    Attributes:
        arch: As its search space writes it.
        accuracy_percent: Accuracy, per cent.
        latency_ms: Latency, milliseconds.
    """

    arch: str
    accuracy_percent: float
    latency_ms: float


def pareto_front(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Candidates than which none is both as fast and more accurate, or as accurate and faster; the fastest first."""
    front: list[Candidate] = []
    for candidate in sorted(candidates, key=lambda one: (one.latency_ms, -one.accuracy_percent, one.arch)):
        if not front or candidate.accuracy_percent > front[-1].accuracy_percent:
            front.append(candidate)
    return front


def hypervolume(candidates: Iterable[Candidate], accuracy_percent: float, latency_ms: float) -> float:
    """Area that candidates dominate, up to a reference point that is worse than what counts.

    Source: Zitzler and Thiele, "Multiobjective Optimization Using Evolutionary Algorithms", PPSN 1998.

    Args:
        candidates: Any; those beyond the reference add nothing.
        accuracy_percent: Accuracy of the reference.
        latency_ms: Latency of the reference.

    Returns:
        Percentage points times milliseconds.
    """
    inside = (one for one in candidates if one.accuracy_percent > accuracy_percent and one.latency_ms < latency_ms)
    area, reached = 0.0, accuracy_percent
    for candidate in pareto_front(inside):
        area += (candidate.accuracy_percent - reached) * (latency_ms - candidate.latency_ms)
        reached = candidate.accuracy_percent
    return area
