"""Measured latencies as JSON, CSV and a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from costmodel.cli.output import Report
from costmodel.data.records import MeasurementRecord

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["MeasurementReport"]


class MeasurementReport(Report):
    """The records of a campaign.

    Args:
        records: One for each model, all of one platform.
    """

    def __init__(self, records: Sequence[MeasurementRecord]) -> None:
        self._records = records

    def document(self) -> dict[str, object]:
        """``{"records": [...]}`` with every field of a record."""
        return {"records": list(self.rows())}

    def columns(self) -> Sequence[str]:
        """The fields of a record, and whether its latency is to be trusted."""
        return (*MeasurementRecord.model_fields, "is_trusted")

    def rows(self) -> Iterable[dict[str, object]]:
        """One row per record."""
        for record in self._records:
            yield {**record.model_dump(mode="json"), "is_trusted": record.is_trusted}

    def tables(self) -> Iterable[RenderableType]:
        """One line per record, with the reason in place of numbers where it failed."""
        from rich.table import Table

        table = Table(box=None, pad_edge=False, title=self._records[0].platform, title_justify="left")
        table.add_column("model", overflow="fold")
        for heading in ("batch", "latency ms", "spread %", "visits"):
            table.add_column(heading, justify="right")
        table.add_column("remark", overflow="fold")
        for record in self._records:
            table.add_row(record.model, *_cells(record))
        yield table


def _cells(record: MeasurementRecord) -> tuple[str, ...]:
    batch = "" if record.batch is None else str(record.batch)
    if record.latency_ms is None or record.spread is None:
        return (batch, "", "", str(record.visits), f"{record.status}: {record.reason}")
    remark = "" if record.is_trusted else f"the machine was busy: wall/CPU ratio {record.wall_cpu_ratio:.2f}"
    return (batch, f"{record.latency_ms:.4g}", f"{100 * record.spread:.1f}", str(record.visits), remark)
