"""What the command line says on stderr, and how much of it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from typing import TypeVar

__all__ = ["Verbosity", "is_debugging", "say", "set_verbosity", "tracked", "wants_progress"]

_Item = TypeVar("_Item")

_LOGGER = logging.getLogger("costmodel")


class Verbosity(IntEnum):
    """How much is said, as the level below which log records are dropped."""

    QUIET = logging.ERROR
    NORMAL = logging.WARNING
    VERBOSE = logging.INFO
    DEBUG = logging.DEBUG


class _LowerCaseLevel(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return f"{record.levelname.lower()}: {super().format(record)}"


def set_verbosity(verbosity: Verbosity) -> None:
    """Send this package's log records to stderr from ``verbosity`` upwards."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_LowerCaseLevel())
    _LOGGER.handlers = [handler]
    _LOGGER.setLevel(verbosity)


def is_debugging() -> bool:
    """Whether errors are to show where they were raised."""
    return _LOGGER.isEnabledFor(Verbosity.DEBUG)


def say(message: str) -> None:
    """Tell people something that is neither data nor a warning; nothing when they asked for quiet."""
    if _LOGGER.isEnabledFor(Verbosity.NORMAL):
        print(message, file=sys.stderr)


def wants_progress() -> bool:
    """Whether progress bars have a reader: stderr is a terminal and nobody asked for quiet."""
    return sys.stderr.isatty() and _LOGGER.isEnabledFor(Verbosity.NORMAL)


@contextmanager
def tracked(items: Sequence[_Item], doing: str, *, few: int) -> Iterator[Iterable[_Item]]:
    """The ``items``, with a progress bar that moves as they are taken.

    Args:
        items: What is worked on, one after another.
        doing: What is done to them; stands before the bar.
        few: Up to so many are done before anybody wonders: no bar.
    """
    if len(items) <= few or not wants_progress():
        yield items
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        yield bar.track(items, description=doing)
