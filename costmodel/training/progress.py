"""A progress bar over the epochs of all members, on stderr."""

from __future__ import annotations

from types import TracebackType
from typing import Self

__all__ = ["EpochProgress"]


class EpochProgress:
    """Shows how far a run is; nothing at all when not ``visible``.

    Args:
        members: Models that are trained one after another.
        epochs: Epochs each.
        visible: Whether to draw.
    """

    def __init__(self, members: int, epochs: int, *, visible: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._epochs = epochs
        self._bar = Progress(
            TextColumn("[progress.description]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not visible,
        )
        self._task = self._bar.add_task("training", total=members * epochs)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def advance(self, member: int, epoch: int, metrics: dict[str, float]) -> None:
        """One more epoch is done."""
        error = metrics.get("validation_mape_percent")
        told = f"member {member}" + (f", {error:.1f} % on left-out families" if error is not None else "")
        self._bar.update(self._task, completed=member * self._epochs + epoch, description=told)
