"""The process that runs the models, so that one which crashes or hangs takes nothing else with it."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context, parent_process, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from threading import Lock, Thread
from time import monotonic
from types import TracebackType
from typing import Self

from costmodel.calibration.measurers.base import Measurer, VisitTiming
from costmodel.calibration.shapes import fix_batch
from costmodel.calibration.sources import ModelSource
from costmodel.data.records import Status
from costmodel.data.weightless import graph_hash
from costmodel.errors import CostModelError, DeviceLostError, MeasurementError, NoDeviceError

__all__ = ["Outcome", "Worker"]

logger = logging.getLogger(__name__)

_START_LIMIT_S = 120.0
"""Importing a runtime takes seconds, on a busy disk many."""

_ONE_THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"""The reference kernel is timed by its thread's CPU time, so its library must not start others."""

_processes = Lock()
"""Held to start or to reap a child: the environment and multiprocessing's table of children are one for all threads."""


@dataclass(frozen=True, slots=True)
class _Request:
    source: ModelSource
    batch: int | None
    runs: int


@dataclass(frozen=True, slots=True)
class _Ready:
    """The worker has imported everything and waits for requests."""


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
        self._measurer = measurer
        self._time_limit_s = time_limit_s
        self._process: SpawnProcess | None = None
        self._connection: Connection | None = None
        self._lock = Lock()
        self._is_stopped = False

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
        connection = self._connection or self._start()
        deadline = monotonic() + self._time_limit_s
        loaded: _Loaded | None = None
        try:
            connection.send(_Request(source, batch, runs))
            while connection.poll(max(deadline - monotonic(), 0)):
                message = connection.recv()
                if isinstance(message, _Unusable):
                    raise NoDeviceError(message.reason)
                if isinstance(message, _Failed):
                    return _failure(message.status, message.reason, loaded)
                if isinstance(message, VisitTiming) and loaded is not None:
                    return Outcome(Status.OK, "", loaded.model_hash, loaded.batch, message)
                loaded = message
        except (EOFError, OSError):
            return _failure(Status.CRASHED, self._death_notice(), loaded)
        self.close()
        return _failure(Status.HUNG, f"no answer within {self._time_limit_s:g} s", loaded)

    def close(self) -> None:
        """End the child process, whatever it is doing."""
        with self._lock:
            process, connection = self._process, self._connection
            self._process = self._connection = None
        if process is not None:
            with _processes:
                process.kill()
                process.join()
                process.close()
        if connection is not None:
            connection.close()

    def stop(self) -> None:
        """End the child process and start no other; for another thread than the one that visits, which then fails."""
        with self._lock:
            self._is_stopped = True
            if self._process is not None:
                self._process.kill()

    def _start(self) -> Connection:
        context = get_context("spawn")  # a fork would inherit the parent's thread pools in an unusable state
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self._measurer), daemon=True)
        threads = self._measurer.environment().threads
        with self._lock, _processes, _thread_variables(threads), _interrupts_held_back():
            if self._is_stopped:
                raise MeasurementError("the worker was stopped.")
            process.start()
            self._process, self._connection = process, ours
        theirs.close()
        first = self._first_message(ours)
        if isinstance(first, _Ready):
            return ours
        if isinstance(first, _Unusable):
            raise MeasurementError(first.reason)
        raise MeasurementError(
            f"the measuring process did not start ({self._death_notice()}); its own messages are above. In a script, "
            'measure under `if __name__ == "__main__":`, since the child imports the script.'
        )

    @staticmethod
    def _first_message(connection: Connection) -> object:
        try:
            return connection.recv() if connection.poll(_START_LIMIT_S) else None
        except (EOFError, OSError):
            return None

    def _death_notice(self) -> str:
        process = self._process
        if process is None:
            return "no process"
        process.join(timeout=5)
        code = process.exitcode
        self.close()
        if code is None:
            return "the process stopped answering"
        if code >= 0:
            return f"the process ended with exit code {code}"
        name = signal.Signals(-code).name
        return f"the process was killed by {name}" + (", perhaps for lack of memory" if name == "SIGKILL" else "")


def _failure(status: Status, reason: str, loaded: _Loaded | None) -> Outcome:
    if loaded is None:
        return Outcome(status, reason)
    return Outcome(status, reason, loaded.model_hash, loaded.batch)


def _serve(connection: Connection, measurer: Measurer) -> None:
    """The child's whole life: answer requests until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches both; the parent decides
    Thread(target=_end_with_parent, daemon=True).start()
    connection.send(_prepared(measurer))
    while True:
        try:
            request = connection.recv()
        except EOFError:
            return
        connection.send(_answer(connection, measurer, request))


def _prepared(measurer: Measurer) -> _Ready | _Unusable:
    try:
        measurer.prepare()
    except CostModelError as error:
        return _Unusable(str(error))
    return _Ready()


def _answer(connection: Connection, measurer: Measurer, request: _Request) -> VisitTiming | _Failed | _Unusable:
    try:
        model = request.source.load()
        model_hash = graph_hash(model)
        connection.send(_Loaded(model_hash, fix_batch(model, request.batch)))
        serialised = model.SerializeToString()
        del model  # the runtime makes its own copy of the weights
        return measurer.measure_visit(serialised, runs=request.runs)
    except NoDeviceError as error:
        return _Unusable(str(error))
    except DeviceLostError as error:
        return _Failed(Status.CRASHED, str(error))
    except CostModelError as error:
        return _Failed(Status.REFUSED, str(error))
    except Exception as error:  # whatever a reader or a plug-in throws must not end the campaign
        logger.debug("visit to %s failed", request.source.name, exc_info=True)
        return _Failed(Status.REFUSED, f"{type(error).__name__}: {error}")


def _end_with_parent() -> None:
    """Do not outlive a parent that was killed: a hung model would run for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """A child that is started inside does not get Ctrl-C, and so cannot die of it before it can ignore it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # it is started by the first child, and lifts what holds signals back
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


@contextmanager
def _thread_variables(threads: int) -> Iterator[None]:
    """The environment that a child started inside inherits; numeric libraries read it when they are imported."""
    wanted = {"OMP_NUM_THREADS": str(threads), **dict.fromkeys(_ONE_THREAD_VARIABLES, "1")}
    previous = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in previous.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
