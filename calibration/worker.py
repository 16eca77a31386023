"""The process that runs the models, so that one which crashes or hangs takes nothing else with it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from costmodel.calibration.child import Child, ChildDiedError, ChildHungError
from costmodel.calibration.measurers.base import Measurer, VisitTiming
from costmodel.calibration.shapes import fix_batch
from costmodel.calibration.sources import ModelSource
from costmodel.data.records import Status
from costmodel.data.weightless import graph_hash
from costmodel.errors import CostModelError, DeviceLostError, NoDeviceError

__all__ = ["Outcome", "Worker"]

logger = logging.getLogger(__name__)

_ONE_THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"""The reference kernel is timed by its thread's CPU time, so its library must not start others."""


@dataclass(frozen=True, slots=True)
class _Request:
    source: ModelSource
    batch: int | None
    runs: int


@dataclass(frozen=True, slots=True)
class _Loaded:
    """The model was read; sent at once, so that the facts survive if running it kills the process."""

    model_hash: str
    batch: int


@dataclass(frozen=True, slots=True)
class _Failed:
    status: Status
    reason: str


@dataclass(frozen=True, slots=True)
class _Unusable:
    """No model can be measured."""

    reason: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one visit ended.

    Attributes:
        status: How it ended.
        reason: Why it failed; empty when it did not.
        model_hash: Of the model, if it was read.
        batch: It was run at, if it was read.
        timing: The times, when it did not fail.
    """

    status: Status
    reason: str = ""
    model_hash: str | None = None
    batch: int | None = None
    timing: VisitTiming | None = None


class Worker:
    """A child process that serves many visits, and is replaced when it dies or hangs.

    Args:
        measurer: Times the models, in the child.
        time_limit_s: A visit that takes longer, loading included, is ended.
    """

    def __init__(self, measurer: Measurer, time_limit_s: float) -> None:
        self._time_limit_s = time_limit_s
        threads = str(measurer.environment().threads)
        variables = {"OMP_NUM_THREADS": threads, **dict.fromkeys(_ONE_THREAD_VARIABLES, "1")}
        self._child = Child(_Visitor(measurer), variables)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def visit(self, source: ModelSource, batch: int | None, runs: int) -> Outcome:
        """Visit one model once.

        A model that crashes, hangs or is refused is an outcome, not an exception.

        Raises:
            MeasurementError: The child process does not start, or the measurer cannot be used, whatever the model.
            NoDeviceError: The measurer has nothing to measure on.
        """
        loaded: _Loaded | None = None
        try:
            for message in self._child.messages(_Request(source, batch, runs), self._time_limit_s):
                if isinstance(message, _Unusable):
                    raise NoDeviceError(message.reason)
                if isinstance(message, _Failed):
                    return _failure(message.status, message.reason, loaded)
                if isinstance(message, VisitTiming) and loaded is not None:
                    return Outcome(Status.OK, "", loaded.model_hash, loaded.batch, message)
                loaded = message if isinstance(message, _Loaded) else loaded
        except ChildDiedError as error:
            return _failure(Status.CRASHED, str(error), loaded)
        except ChildHungError as error:
            return _failure(Status.HUNG, str(error), loaded)
        raise AssertionError("a child's messages end in an exception")

    def close(self) -> None:
        """End the child process, whatever it is doing."""
        self._child.close()

    def stop(self) -> None:
        """End the child process and start no other; for another thread than the one that visits, which then fails."""
        self._child.stop()


def _failure(status: Status, reason: str, loaded: _Loaded | None) -> Outcome:
    if loaded is None:
        return Outcome(status, reason)
    return Outcome(status, reason, loaded.model_hash, loaded.batch)


@dataclass(frozen=True, slots=True)
class _Visitor:
    """What the child does."""

    measurer: Measurer

    def prepare(self) -> None:
        self.measurer.prepare()

    def answer(self, request: _Request, tell: Callable[[object], None]) -> VisitTiming | _Failed | _Unusable:
        try:
            model = request.source.load()
            model_hash = graph_hash(model)
            tell(_Loaded(model_hash, fix_batch(model, request.batch)))
            serialised = model.SerializeToString()
            del model  # the runtime makes its own copy of the weights
            return self.measurer.measure_visit(serialised, runs=request.runs)
        except NoDeviceError as error:
            return _Unusable(str(error))
        except DeviceLostError as error:
            return _Failed(Status.CRASHED, str(error))
        except CostModelError as error:
            return _Failed(Status.REFUSED, str(error))
        except Exception as error:  # whatever a reader or a plug-in throws must not end the campaign
            logger.debug("visit to %s failed", request.source.name, exc_info=True)
            return _Failed(Status.REFUSED, f"{type(error).__name__}: {error}")
