"""Predicted accuracies as JSON, CSV and a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from costmodel.cli.output import Report

if TYPE_CHECKING:
    from rich.console import RenderableType

    from costmodel.accuracy_predictor import AccuracyPredictor

__all__ = ["AccuracyReport"]


class AccuracyReport(Report):
    """Accuracies of architectures, in the order they were asked for."""

    def __init__(self, predictor: AccuracyPredictor, archs: Sequence[str]) -> None:
        self._space = predictor.space.name
        self._rows: list[dict[str, object]] = [
            {"arch": arch, "accuracy_percent": round(float(percent), 3), "spread_points": round(float(spread), 3)}
            for arch, percent, spread in zip(archs, predictor.predict(archs), predictor.spread(archs), strict=True)
        ]

    def document(self) -> dict[str, object]:
        """``{"space": ..., "accuracies": [...]}``."""
        return {"space": self._space, "accuracies": self._rows}

    def columns(self) -> Sequence[str]:
        """An architecture, its accuracy, and how far members are apart."""
        return ("arch", "accuracy_percent", "spread_points")

    def rows(self) -> Iterable[dict[str, object]]:
        """One row per architecture."""
        return self._rows

    def tables(self) -> Iterable[RenderableType]:
        """One table."""
        from rich.table import Table

        table = Table("architecture", box=None, pad_edge=False)
        table.add_column("accuracy, %", justify="right")
        table.add_column("± between members", justify="right")
        for row in self._rows:
            table.add_row(str(row["arch"]), f"{row['accuracy_percent']:.2f}", f"{row['spread_points']:.2f}")
        yield table
