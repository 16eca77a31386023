"""Runs a campaign before somebody's eyes, and the options of every command that does."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from costmodel.cli.errors import INTERRUPTED
from costmodel.cli.talk import wants_progress

if TYPE_CHECKING:
    from costmodel.calibration.campaign import Campaign, Progress
    from costmodel.data.records import MeasurementRecord

__all__ = ["IntervalOption", "TimeLimitOption", "run_campaign"]

logger = logging.getLogger(__name__)

IntervalOption = Annotated[
    float, typer.Option(min=0, metavar="S", help="Start rounds at least this many seconds apart.")
]
TimeLimitOption = Annotated[float, typer.Option(min=0.1, metavar="S", help="End a visit that takes longer.")]


def run_campaign(campaign: Campaign) -> list[MeasurementRecord]:
    """The records of ``campaign``, with a progress bar while it runs.

    Raises:
        Exit: Ctrl-C, after saying where the finished visits are.
    """
    try:
        with _progress_bar(campaign) as report:
            return campaign.run(report)
    except KeyboardInterrupt:
        journal = campaign.journal.path
        logger.warning("stopped. Every finished visit is in %s; run the same command again to go on.", journal)
        raise typer.Exit(INTERRUPTED) from None


@contextmanager
def _progress_bar(campaign: Campaign) -> Iterator[Callable[[Progress], None] | None]:
    if not wants_progress():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("visits, left"),
        TimeRemainingColumn(),
        "{task.description}",
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(campaign.platform)

        def show(progress: Progress) -> None:
            description = progress.last.model if progress.last else campaign.platform
            bar.update(task, completed=progress.done, total=progress.total, description=description)

        yield show
