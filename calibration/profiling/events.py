"""onnxruntime's own profile: which kernel ran when, in a file of trace events."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

from costmodel.errors import DataError

__all__ = ["ProfiledKernel", "ProfiledRuns", "read_events"]

_KERNEL_SUFFIX = "_kernel_time"


@dataclass(frozen=True, slots=True)
class ProfiledKernel:
    """A kernel of every run.

    Attributes:
        name: Of its node in the optimised graph.
        op_type: Operator of that node.
        time_ms: Mean over runs, without kernels that ran inside of it.
    """

    name: str
    op_type: str
    time_ms: float


@dataclass(frozen=True, slots=True)
class ProfiledRuns:
    """What a profile comes to.

    Attributes:
        runs: How many runs the times are a mean of.
        run_ms: Time of one, kernels and what is between them.
        kernels: In the order they ran.
    """

    runs: int
    run_ms: float
    kernels: tuple[ProfiledKernel, ...]


def read_events(path: Path) -> ProfiledRuns:
    """Read a profile that a session wrote.

    The first run is left out, in which memory is reserved; of the others, those count that were no slower than their
    median: what disturbs a run makes it longer.  A mean is taken over them, since the clock ticks in microseconds, of
    which a small kernel takes less than one.

    Args:
        path: The file, of a session that ran its model twice at least.

    Raises:
        DataError: It has no two runs, or is no profile.
    """
    try:
        events = json.loads(path.read_text(encoding="utf-8"))
        runs = sorted((event for event in events if event.get("name") == "model_run"), key=_start_us)[1:]
        kernels = sorted(
            (event for event in events if event.get("cat") == "Node" and event["name"].endswith(_KERNEL_SUFFIX)),
            key=_start_us,
        )
        return _of_undisturbed(runs, kernels)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} is no profile of two runs or more by onnxruntime: {error}.") from error


def _of_undisturbed(runs: Sequence[Mapping[str, Any]], kernels: Sequence[Mapping[str, Any]]) -> ProfiledRuns:
    longest_us = median(run["dur"] for run in runs)
    kept = [run for run in runs if run["dur"] <= longest_us]
    times_us: defaultdict[tuple[str, str, str], float] = defaultdict(float)
    for run in kept:
        inside = [kernel for kernel in kernels if _contains(run, kernel)]
        for kernel, own_us in zip(inside, _own_times_us(inside), strict=True):
            times_us[kernel["name"], kernel["args"]["op_name"], kernel["args"]["node_index"]] += own_us
    return ProfiledRuns(
        runs=len(kept),
        run_ms=fmean(run["dur"] for run in kept) / 1e3,
        kernels=tuple(
            ProfiledKernel(name.removesuffix(_KERNEL_SUFFIX), op_type, total_us / len(kept) / 1e3)
            for (name, op_type, _), total_us in times_us.items()
        ),
    )


def _own_times_us(kernels: Iterable[Mapping[str, Any]]) -> list[float]:
    """Time of each kernel without that of kernels inside of it, which branches and loops have."""
    own: list[float] = []
    open_kernels: list[tuple[int, Mapping[str, Any]]] = []
    for index, kernel in enumerate(kernels):
        own.append(kernel["dur"])
        while open_kernels and not _contains(open_kernels[-1][1], kernel):
            open_kernels.pop()
        if open_kernels:
            around, _ = open_kernels[-1]
            own[around] = max(own[around] - kernel["dur"], 0)
        open_kernels.append((index, kernel))
    return own


def _contains(outer: Mapping[str, Any], inner: Mapping[str, Any]) -> bool:
    return bool(
        outer["ts"] <= inner["ts"] < outer["ts"] + outer["dur"]
        and inner["ts"] + inner["dur"] <= outer["ts"] + outer["dur"]
    )


def _start_us(event: Mapping[str, Any]) -> float:
    return float(event["ts"])
