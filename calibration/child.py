"""A child process that answers requests, and is replaced when it dies or hangs."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context, parent_process, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from threading import Lock, Thread
from time import monotonic
from typing import Any, Protocol

from costmodel.errors import CostModelError, MeasurementError

__all__ = ["Child", "ChildDiedError", "ChildHungError", "Servant"]

_START_LIMIT_S = 120.0
"""Importing a runtime takes seconds, on a busy disk many."""

_processes = Lock()
"""Held to start or to reap a child: the environment and multiprocessing's table of children are one for all threads."""


class ChildDiedError(MeasurementError):
    """The child ended in the middle of a request; the message says how."""


class ChildHungError(MeasurementError):
    """The child did not answer in time, and was ended."""


class Servant(Protocol):
    """What a child process does; it travels there, so it must pickle."""

    def prepare(self) -> None:
        """Import what takes long; called once, in the child.

        Raises:
            CostModelError: No request can be answered, whatever it is.
        """

    def answer(self, request: Any, tell: Callable[[object], None]) -> object:
        """The answer to a request.  What is told before it arrives even if the child dies of the rest."""


@dataclass(frozen=True, slots=True)
class _Ready:
    """The child has imported everything and waits for requests."""


@dataclass(frozen=True, slots=True)
class _Unusable:
    reason: str


class Child:
    """A process that answers one request after the other; started at the first, and again after it was lost.

    Args:
        servant: What it does.
        variables: Of its environment, beside those that it inherits.
    """

    def __init__(self, servant: Servant, variables: Mapping[str, str]) -> None:
        self._servant = servant
        self._variables = variables
        self._process: SpawnProcess | None = None
        self._connection: Connection | None = None
        self._lock = Lock()
        self._is_stopped = False

    def messages(self, request: object, time_limit_s: float) -> Iterator[object]:
        """What the child says to ``request``; the caller stops at the answer.

        Raises:
            MeasurementError: The child does not start, or can answer nothing.
            ChildDiedError: It ended before the answer.
            ChildHungError: There was no answer in time.
        """
        connection = self._connection or self._start()
        deadline = monotonic() + time_limit_s
        try:
            connection.send(request)
            while connection.poll(max(deadline - monotonic(), 0)):
                yield connection.recv()
        except (EOFError, OSError):
            raise ChildDiedError(self._death_notice()) from None
        self.close()
        raise ChildHungError(f"no answer within {time_limit_s:g} s")

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
        """End the child process and start no other; for another thread than the one that asks, which then fails."""
        with self._lock:
            self._is_stopped = True
            if self._process is not None:
                self._process.kill()

    def _start(self) -> Connection:
        context = get_context("spawn")  # a fork would inherit the parent's thread pools in an unusable state
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self._servant), daemon=True)
        with self._lock, _processes, _environment(self._variables), _interrupts_held_back():
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


def _serve(connection: Connection, servant: Servant) -> None:
    """The child's whole life: answer requests until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches both; the parent decides
    Thread(target=_end_with_parent, daemon=True).start()
    connection.send(_prepared(servant))
    while True:
        try:
            request = connection.recv()
        except EOFError:
            return
        connection.send(servant.answer(request, connection.send))


def _prepared(servant: Servant) -> _Ready | _Unusable:
    try:
        servant.prepare()
    except CostModelError as error:
        return _Unusable(str(error))
    return _Ready()


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
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """What a child that is started inside inherits; numeric libraries read it when they are imported."""
    previous = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in previous.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
