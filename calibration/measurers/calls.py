"""Calls into a runtime: how they are timed, and how their errors become ours."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns, process_time_ns, thread_time_ns

import numpy as np

from costmodel.calibration.measurers.base import RunTimes
from costmodel.data.records import Clock
from costmodel.errors import MeasurementError

__all__ = ["refusal", "time_runs"]

_LONGEST_REASON = 300


def time_runs(run: Callable[[], object], runs: int, *, threads: int, is_on_cpu: bool = True) -> RunTimes:
    """Time ``run`` again and again.

    A runtime with one thread on the CPU computes on the calling thread, so that thread's CPU time is the latency
    without what other processes take.  With more threads, or another device, the wall clock is all there is.

    Args:
        run: Runs a model once, to its end.
        runs: How many times, at least 1.
        threads: Threads that compute it.
        is_on_cpu: Whether the CPU does all the work.
    """
    clock = Clock.CPU if threads == 1 and is_on_cpu else Clock.WALL
    cpu_clock = thread_time_ns if clock is Clock.CPU else process_time_ns
    wall_ns, cpu_ns = np.zeros(runs), np.zeros(runs)
    for index in range(runs):
        wall_start, cpu_start = perf_counter_ns(), cpu_clock()
        run()
        cpu_ns[index], wall_ns[index] = cpu_clock() - cpu_start, perf_counter_ns() - wall_start
    timed_ns = cpu_ns if clock is Clock.CPU else wall_ns
    return RunTimes(
        run_ms=tuple(float(value) for value in timed_ns / 1e6),
        clock=clock,
        wall_cpu_ratio=float(wall_ns.sum() * threads / cpu_ns.sum()) if is_on_cpu else None,
    )


def refusal(message: str, error: Exception) -> MeasurementError:
    """``message``, and the first line of what the runtime said."""
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return MeasurementError(f"{message}: {reason[:_LONGEST_REASON]}")
