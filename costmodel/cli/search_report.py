"""What a search found, as JSON, CSV and a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from costmodel.cli.output import Report
from costmodel.units import format_ms

if TYPE_CHECKING:
    from rich.console import RenderableType

    from costmodel.search import Candidate

__all__ = ["FrontReport"]


class FrontReport(Report):
    """A front, the fastest first.

    Args:
        front: Its candidates.
        judged: Architectures that were looked at.
        platform: What their latencies are predicted for.
        folder: Where everything was written.
    """

    def __init__(self, front: Sequence[Candidate], judged: int, platform: str, folder: Path) -> None:
        self._front, self._judged, self._platform, self._folder = front, judged, platform, folder

    def document(self) -> dict[str, object]:
        """``{"platform": ..., "folder": ..., "judged": ..., "front": [...]}``."""
        return {
            "platform": self._platform,
            "folder": str(self._folder),
            "judged": self._judged,
            "front": list(self.rows()),
        }

    def columns(self) -> Sequence[str]:
        """An architecture and its objectives."""
        return ("arch", "accuracy_percent", "latency_ms")

    def rows(self) -> Iterable[dict[str, object]]:
        """One row per candidate."""
        for candidate in self._front:
            yield {
                "arch": candidate.arch,
                "accuracy_percent": round(candidate.accuracy_percent, 3),
                "latency_ms": float(f"{candidate.latency_ms:.6g}"),
            }

    def tables(self) -> Iterable[RenderableType]:
        """One table, and where the rest is."""
        from rich.table import Table

        table = Table("architecture", box=None, pad_edge=False)
        table.add_column("accuracy, %", justify="right")
        table.add_column("latency, ms", justify="right")
        for candidate in self._front:
            table.add_row(candidate.arch, f"{candidate.accuracy_percent:.2f}", format_ms(candidate.latency_ms))
        yield table
        yield f"{len(self._front)} of {self._judged} architectures; predictions for {self._platform}, in {self._folder}"
