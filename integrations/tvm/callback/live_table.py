"""Tuning as a table on stderr, one row a task, drawn again after every round."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from costmodel.integrations.tvm.callback.task_progress import Round
from costmodel.units import format_ms, format_percent

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["LiveTable"]

_UNKNOWN = "-"
_TVM_LOGGER = "tvm.s_tir.meta_schedule"


class LiveTable:
    """Draws the last round of each task.

    On a terminal, a drawing takes the place of the one before, unless TVM's own log goes to that terminal too: then
    each is drawn below what was written in the meantime.  Between two drawings nothing of the terminal is held, so
    there is nothing to put back when tuning ends, however it does.

    Args:
        trials_per_task: What each task may take, to tell what stopping saved.
        console: Where to; stderr by default.
    """

    def __init__(self, trials_per_task: int | None = None, console: Console | None = None) -> None:
        from rich.console import Console

        self._trials_per_task = trials_per_task
        self._console = console or Console(stderr=True)
        self._height = 0

    def draw(self, rounds: Iterable[Round]) -> None:
        """Draw a table with a row for each of these."""
        table = self._table(list(rounds))
        lines = self._console.render_lines(table, pad=False)
        if not _tvm_talks():
            self._clear(self._height)
        self._height = len(lines)
        self._console.print(table)

    def _clear(self, height: int) -> None:
        from rich.control import Control
        from rich.segment import ControlType

        if height >= self._console.size.height:
            return  # its top is out of reach
        self._console.control(Control(*[(ControlType.CURSOR_UP, 1), (ControlType.ERASE_IN_LINE, 2)] * height))

    def _table(self, rounds: list[Round]) -> Table:
        from rich.table import Table

        table = Table(box=None, pad_edge=False)
        table.add_column("task", overflow="ellipsis", no_wrap=True)
        for heading in ("best ms", "last round's best", "rank accuracy", "trials", "failed", "saved"):
            table.add_column(heading, justify="right", no_wrap=True)
        for last in rounds:
            table.add_row(
                last.task,
                *(_UNKNOWN if number is None else format_ms(number) for number in (last.best_ms, last.round_best_ms)),
                _UNKNOWN if last.rank_accuracy is None else format_percent(last.rank_accuracy),
                str(last.trials),
                str(last.failed),
                self._saved(last),
            )
        return table

    def _saved(self, last: Round) -> str:
        if not last.stopped:
            return ""
        if self._trials_per_task is None:
            return "stopped"
        return str(max(self._trials_per_task - last.trials, 0))


def _tvm_talks() -> bool:
    """Whether TVM writes about each round to a terminal, as it does unless told otherwise."""
    tvm_logger = logging.getLogger(_TVM_LOGGER)
    streams = [handler.stream for handler in tvm_logger.handlers if type(handler) is logging.StreamHandler]
    return tvm_logger.isEnabledFor(logging.INFO) and any(stream in _terminals() for stream in streams)


def _terminals() -> list[object]:
    return [stream for stream in (sys.stdout, sys.stderr) if stream is not None and stream.isatty()]
