"""Predictions as JSON, CSV and tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from costmodel.cli.output import Report
from costmodel.prediction import Prediction, PredictionFailure
from costmodel.units import format_ms, format_percent

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["PredictionReport"]

_DEFAULT_TOP = 10


class PredictionReport(Report):
    """Outcomes in the order they were asked for.

    Args:
        outcomes: Each with the platform alias that was typed, ``None`` when it was no alias.
        top: How many of the slowest operations to list; ``None`` lists some only where there is one prediction.
    """

    def __init__(self, outcomes: Sequence[tuple[Prediction | PredictionFailure, str | None]], top: int | None) -> None:
        self._outcomes = outcomes
        self._top = top

    def document(self) -> dict[str, object]:
        """``{"predictions": [...]}``; ``per_op`` is there only when a ``top`` was asked for."""
        return {"predictions": [self._entry(outcome, alias) for outcome, alias in self._outcomes]}

    def columns(self) -> Sequence[str]:
        """The figures of a prediction, and the error of a failure."""
        return ("model", "platform", "batch", "latency_ms", "low_ms", "high_ms", "coverage", "warnings", "error")

    def rows(self) -> Iterable[dict[str, object]]:
        """One row per outcome, its warnings in one cell."""
        for outcome, _ in self._outcomes:
            entry = outcome.to_dict(top=0) if isinstance(outcome, Prediction) else outcome.to_dict()
            entry.pop("per_op", None)
            yield {**entry, "warnings": "; ".join(getattr(outcome, "warnings", ()))}

    def tables(self) -> Iterable[RenderableType]:
        """A summary of a lone prediction; else a table of them all.  Failures are left to stderr."""
        predictions = [outcome for outcome, _ in self._outcomes if isinstance(outcome, Prediction)]
        if len(self._outcomes) == 1:
            yield from (
                prediction.summary(_DEFAULT_TOP if self._top is None else self._top) for prediction in predictions
            )
            return
        if predictions:
            yield _table(predictions)
        yield from dict.fromkeys(f"warning: {p.model}: {warning}" for p in predictions for warning in p.warnings)
        if self._top:
            yield from (f"\n{prediction.summary(self._top)}" for prediction in predictions)

    def _entry(self, outcome: Prediction | PredictionFailure, alias: str | None) -> dict[str, object]:
        entry = outcome.to_dict(self._top) if isinstance(outcome, Prediction) else outcome.to_dict()
        if not self._top:
            entry.pop("per_op", None)
        if alias is None:
            return entry
        return {"model": entry["model"], "platform": entry["platform"], "platform_alias": alias, **entry}


def _table(predictions: Iterable[Prediction]) -> RenderableType:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("model", overflow="fold")
    table.add_column("platform", overflow="fold")
    for heading in ("batch", "latency ms", "90 % interval", "coverage"):
        table.add_column(heading, justify="right", no_wrap=True)
    for prediction in predictions:
        table.add_row(
            prediction.model,
            prediction.platform,
            str(prediction.batch),
            format_ms(prediction.latency_ms),
            f"{format_ms(prediction.low_ms)} to {format_ms(prediction.high_ms)}",
            format_percent(prediction.coverage),
        )
    return table
