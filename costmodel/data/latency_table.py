"""Somebody's measurements as a CSV table, one row a model."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from costmodel.errors import DataError

__all__ = ["TableRow", "read_latency_table"]


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row.

    Attributes:
        line: Its line in the file, for messages.
        model: The model's path as it is written.
        file: The same path, taken from the table's folder.
        latency_ms: Milliseconds a run.
        batch: Images a run, ``None`` where the table does not say.
        platform: Where it was measured; empty where the table does not say.
    """

    line: int
    model: str
    file: Path
    latency_ms: float
    batch: int | None
    platform: str


def read_latency_table(path: Path, *, needs_platform: bool = False) -> list[TableRow]:
    """Read columns ``model`` (path of an ONNX file), ``latency_ms`` and optionally ``batch`` and ``platform``.

    Args:
        path: The table; paths of models are taken from its folder.
        needs_platform: Whether the column ``platform`` must be there.

    Raises:
        DataError: The file cannot be read, a column is missing, there are no rows, or a row makes no sense.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:  # spreadsheets put a mark in front
            reader = csv.DictReader(stream, skipinitialspace=True)
            columns = [name.strip() for name in reader.fieldnames or ()]
            reader.fieldnames = columns
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as a CSV table: {error}.") from error
    expected = ["model", "latency_ms", *(["platform"] if needs_platform else [])]
    missing = [name for name in expected if name not in columns]
    if missing:
        raise DataError(
            f"{path}: expected columns {', '.join(expected)} and optionally batch, separated by commas; "
            f"{', '.join(missing)} missing, found {', '.join(columns) or 'nothing'}."
        )
    if not rows:
        raise DataError(f"{path} has no rows; expected one for each measured model.")
    return [_row(row, line, path, needs_platform) for line, row in enumerate(rows, start=2)]


def _row(row: Mapping[str, str | None], line: int, path: Path, needs_platform: bool) -> TableRow:
    cells = {
        name: (text or "").strip() for name, text in row.items() if isinstance(name, str) and isinstance(text, str)
    }
    model, platform = cells.get("model", ""), cells.get("platform", "")
    latency_ms = _number(cells.get("latency_ms", ""))
    batch_text = cells.get("batch", "")
    batch = _number(batch_text) if batch_text else None
    if not model or (needs_platform and not platform):
        raise DataError(f"{path}, line {line}: the {'platform' if model else 'model'} is blank.")
    if latency_ms is None or latency_ms <= 0:
        raise DataError(
            f"{path}, line {line}: expected latency_ms above 0 in milliseconds, got {cells.get('latency_ms', '')!r}."
        )
    if batch_text and (batch is None or batch < 1 or batch != int(batch)):
        raise DataError(f"{path}, line {line}: expected a batch of 1, 2, 3 ..., got {batch_text!r}.")
    return TableRow(line, model, path.parent / model, latency_ms, None if batch is None else int(batch), platform)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if isfinite(number) else None
