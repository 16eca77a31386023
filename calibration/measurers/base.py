"""What a way of timing models must do, and the contract checked around it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

from pydantic import JsonValue

from costmodel.calibration.measurers.reference import reference_kernel_ms
from costmodel.data.records import Clock
from costmodel.errors import MeasurementError
from costmodel.platforms.environment import Environment

__all__ = ["Measurer", "RunTimes", "VisitTiming"]


@dataclass(frozen=True, slots=True)
class RunTimes:
    """What a plug-in hands back from one visit.

    Attributes:
        run_ms: Time of each run in milliseconds.
        clock: What they were taken with.
        wall_cpu_ratio: Wall-clock time over (CPU time / threads) of all runs; ``None`` when the CPU does not do the
            work.
    """

    run_ms: tuple[float, ...]
    clock: Clock
    wall_cpu_ratio: float | None


@dataclass(frozen=True, slots=True)
class VisitTiming:
    """One checked visit.

    Attributes:
        times: What the plug-in timed.
        reference_ms: Time of the reference kernel beside it, in milliseconds.
    """

    times: RunTimes
    reference_ms: float


class Measurer(ABC):
    """Times models on one platform.

    A plug-in writes :meth:`environment`, :meth:`settings` and :meth:`_visit`.  It is pickled into the process
    that runs the models, so what it holds must be plain: load runtimes where they are used.  Subclass
    :class:`costmodel.calibration.testing.MeasurerConformance` to test one.

    Attributes:
        precision: What models are computed in, as platform names spell it.
    """

    precision: str = "fp32"

    @abstractmethod
    def environment(self) -> Environment:
        """The machine, the runtime and the threads that models are timed with."""

    @abstractmethod
    def settings(self) -> Mapping[str, JsonValue]:
        """Every choice that changes a latency; measurements with other settings never share a journal."""

    def prepare(self) -> None:  # noqa: B027  # most have nothing to prepare
        """Called once in the process that runs the models, before its first visit and outside of every time limit.

        The place to import a runtime that takes seconds.
        """

    @abstractmethod
    def _visit(self, model: bytes, runs: int) -> RunTimes:
        """Load ``model``, run it once to warm up, and time ``runs`` runs.

        Args:
            model: A serialised ONNX model with weights, all input shapes fixed.
            runs: How many runs to time, at least 1.

        Raises:
            MeasurementError: The runtime does not take the model.
            DeviceLostError: The device went away; the visit is worth another attempt.
            NoDeviceError: There is nothing to measure on; the campaign ends.
        """

    def measure_visit(self, model: bytes, *, runs: int) -> VisitTiming:
        """One visit to ``model``, with the reference kernel timed before and after it.

        Args:
            model: A serialised ONNX model with weights, all input shapes fixed.
            runs: How many runs to time, at least 1.

        Raises:
            MeasurementError: The runtime does not take the model, or the plug-in broke its contract: another number
                of runs than asked for, or a time that is not positive and finite.
        """
        if runs < 1:
            raise MeasurementError(f"{type(self).__name__}: expected runs >= 1, got {runs}.")
        before_ms = self._reference_ms()
        times = self._visit(model, runs)
        reference_ms = min(before_ms, self._reference_ms())
        self._check(times, runs)
        return VisitTiming(times, reference_ms)

    def _reference_ms(self) -> float:
        """Time of a fixed piece of work on the device; override it where that is not this machine's CPU."""
        return reference_kernel_ms()

    def _check(self, times: RunTimes, runs: int) -> None:
        name = type(self).__name__
        if len(times.run_ms) != runs:
            raise MeasurementError(f"{name}: asked for {runs} timed runs, got {len(times.run_ms)}.")
        numbers = [*times.run_ms, *([] if times.wall_cpu_ratio is None else [times.wall_cpu_ratio])]
        if not all(isfinite(number) and number > 0 for number in numbers):
            raise MeasurementError(f"{name}: expected positive, finite times and wall/CPU ratio, got {times}.")
