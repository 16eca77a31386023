"""Ctrl-C while TVM is at work, which makes another error of it, or none, or crashes."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, current_thread, main_thread
from types import FrameType
from typing import Any

import typer

from costmodel.cli.errors import INTERRUPTED

__all__ = ["interruptible", "interruptible_search", "one_by_one", "stopped_in"]

logger = logging.getLogger(__name__)

_SHOW_CURSOR = "\x1b[?25h"
"""Undoes what a progress bar did to the terminal."""


def stopped_in(folder: Path) -> str:
    """What a search that keeps its measurements in ``folder`` says when it is stopped."""
    return f"stopped. Everything measured is in {folder}; run the same command again to go on."


@contextmanager
def interruptible(message: str) -> Iterator[None]:
    """Ends the command with ``message`` and the code of an interruption when Ctrl-C is pressed inside.

    A ``KeyboardInterrupt`` that is raised where TVM has called Python comes out of TVM as a ``RuntimeError``, so what
    counts is whether Ctrl-C was pressed, not what comes of it.

    Raises:
        Exit: Ctrl-C.
    """
    pressed = Event()

    def note() -> None:
        pressed.set()
        raise KeyboardInterrupt

    with _ending_when(pressed, message), _on_ctrl_c(note):
        yield


@contextmanager
def interruptible_search(message: str) -> Iterator[Callable[[], None]]:
    """Likewise where TVM searches: Ctrl-C is heard at the next check, and the second one ends the process at once.

    TVM's search dies of an exception where it calls Python from its threads, and takes one where it compiles for a
    candidate that does not compile.

    Yields:
        The check, to be called between candidates and between tasks.  It raises ``KeyboardInterrupt``, which TVM may
        turn into what it likes.

    Raises:
        Exit: Ctrl-C.
    """
    pressed = Event()

    def note() -> None:
        if pressed.is_set():
            _leave_at_once(message)
        pressed.set()
        logger.warning("stopping after what is at hand; press Ctrl-C again to stop at once.")

    def check() -> None:
        if pressed.is_set():
            raise KeyboardInterrupt

    with _ending_when(pressed, message), _on_ctrl_c(note):
        yield check
        check()


def one_by_one(builder: Any, check: Callable[[], None]) -> Any:
    """A builder that builds as ``builder`` does, but calls ``check`` after each candidate; what it built then goes."""
    from tvm.ir.utils import derived_object
    from tvm.s_tir.meta_schedule.builder import PyBuilder

    @derived_object
    class OneByOne(PyBuilder):  # type: ignore[misc]  # TVM has no types
        def build(self, build_inputs: list[Any]) -> list[Any]:
            results: list[Any] = []
            try:
                for build_input in build_inputs:
                    results += builder.build([build_input])
                    check()
            except KeyboardInterrupt:
                for result in results:
                    if result.artifact_path is not None:
                        shutil.rmtree(Path(str(result.artifact_path)).parent, ignore_errors=True)
                raise
            return results

    return OneByOne()


@contextmanager
def _ending_when(pressed: Event, message: str) -> Iterator[None]:
    try:
        yield
    except (KeyboardInterrupt, Exception):
        if not pressed.is_set():
            raise
        logger.warning("%s", message)
        raise typer.Exit(INTERRUPTED) from None


@contextmanager
def _on_ctrl_c(note: Callable[[], None]) -> Iterator[None]:
    """Calls ``note`` at every Ctrl-C inside."""

    def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  # as signal calls it
        note()

    if current_thread() is not main_thread():  # which alone hears Ctrl-C
        yield
        return
    previous = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def _leave_at_once(message: str) -> None:
    logger.warning("%s", message)
    if sys.stderr.isatty():
        sys.stderr.write(_SHOW_CURSOR)
        sys.stderr.flush()
    os._exit(INTERRUPTED)
