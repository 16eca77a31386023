"""A table of somebody's measurements → measurements to calibrate with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median

from costmodel.calibration.measurement import Measurement
from costmodel.data.latency_table import TableRow, read_latency_table
from costmodel.errors import CostModelError

__all__ = ["measurements_from_rows", "read_measured_models"]


def read_measured_models(path: Path) -> list[list[TableRow]]:
    """The rows of a CSV table with columns ``model``, ``latency_ms`` and optionally ``batch``, alike ones together.

    Raises:
        DataError: The table cannot be read, or a row of it makes no sense.
    """
    rows: dict[tuple[str, int | None], list[TableRow]] = {}
    for row in read_latency_table(path):
        rows.setdefault((row.model, row.batch), []).append(row)
    return list(rows.values())


def measurements_from_rows(models: Iterable[Sequence[TableRow]]) -> tuple[list[Measurement], list[str]]:
    """Read the models of a table.

    Args:
        models: The rows of each model at one batch; their median counts.

    Returns:
        The measurements, and for each model that cannot be used a sentence that says why.
    """
    measurements, problems = [], []
    for rows in models:
        first = rows[0]
        latency_ms = median(row.latency_ms for row in rows)
        try:
            measurements.append(Measurement.of_model(first.file, latency_ms, batch=first.batch, name=first.model))
        except CostModelError as error:
            problems.append(f"line {first.line} is left out: {error}")
    return measurements, problems
