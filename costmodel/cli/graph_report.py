"""A graph and its costs as JSON, CSV and tables."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from costmodel.cli.output import Report
from costmodel.graph import Op, OpCost, OpGraph, Value, op_costs, total_cost
from costmodel.units import format_count, format_percent

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

__all__ = ["GraphReport"]

_COSTS = ("flops", "params", "bytes_read", "bytes_written", "weight_bytes")


class GraphReport(Report):
    """What the cost model sees of a network.

    Args:
        model: The path as it was typed.
        graph: The network, simplified.
        per_op: Whether to list each operation rather than totals per operator.
    """

    def __init__(self, model: str, graph: OpGraph, *, per_op: bool) -> None:
        self._model = model
        self._graph = graph
        self._per_op = per_op
        self._costs = op_costs(graph)

    def document(self) -> dict[str, object]:
        """Totals, inputs, outputs and operators; ``ops`` too when each operation is to be listed."""
        graph = self._graph
        document: dict[str, object] = {
            "model": self._model,
            "name": graph.name,
            "batch": graph.batch,
            "inputs": [_tensor(graph.values[name]) for name in graph.inputs],
            "outputs": [_tensor(graph.values[name]) for name in graph.outputs],
            "num_ops": len(graph),
            **asdict(total_cost(graph)),
            "op_types": self._operator_rows(),
        }
        if self._per_op:
            document["ops"] = self._op_rows()
        return document

    def columns(self) -> Sequence[str]:
        """The costs of an operation or of an operator."""
        return ("name", "op_type", "scope", "shape", *_COSTS) if self._per_op else ("op_type", "count", *_COSTS)

    def rows(self) -> Iterable[dict[str, object]]:
        """One row per operation or per operator."""
        rows = self._op_rows() if self._per_op else self._operator_rows()
        return [{column: row[column] for column in self.columns()} for row in rows]

    def tables(self) -> Iterable[RenderableType]:
        """Totals, then a table of operations or of operators."""
        graph, total = self._graph, total_cost(self._graph)
        yield f"{self._model}: {len(graph)} operations, batch {graph.batch}"
        for role, names in (("input", graph.inputs), ("output", graph.outputs)):
            for name in names:
                yield f"  {role:<8} {name}: {graph.values[name].dtype} {_shape(graph.values[name])}"
        yield f"  FLOPs    {format_count(total.flops)}"
        yield f"  params   {format_count(total.params)}"
        yield f"  bytes    {format_count(total.bytes_read)} read, {format_count(total.bytes_written)} written"
        yield ""
        yield self._op_table() if self._per_op else self._operator_table(total)

    def _by_operator(self) -> list[tuple[str, int, OpCost]]:
        """Operator, how often it occurs and what it costs in all; most FLOPs first."""
        counts: Counter[str] = Counter()
        totals: defaultdict[str, OpCost] = defaultdict(OpCost)
        for op, cost in zip(self._graph, self._costs, strict=True):
            counts[op.qualified_type] += 1
            totals[op.qualified_type] += cost
        ranking = sorted(counts, key=lambda op_type: (-totals[op_type].flops, -counts[op_type], op_type))
        return [(op_type, counts[op_type], totals[op_type]) for op_type in ranking]

    def _operator_rows(self) -> list[dict[str, object]]:
        return [{"op_type": op_type, "count": count, **asdict(cost)} for op_type, count, cost in self._by_operator()]

    def _op_rows(self) -> list[dict[str, object]]:
        return [
            {
                "name": op.name,
                "op_type": op.qualified_type,
                "scope": op.scope,
                "shape": self._result_shapes(op),
                "sources": list(op.sources),
                **asdict(cost),
            }
            for op, cost in zip(self._graph, self._costs, strict=True)
        ]

    def _operator_table(self, total: OpCost) -> Table:
        table = _table("operator", "count", "FLOPs", "share", "params", "read", "written", text_columns=1)
        for op_type, count, cost in self._by_operator():
            share = format_percent(cost.flops / total.flops if total.flops else 0.0)
            table.add_row(op_type, str(count), format_count(cost.flops), share, *_memory_cells(cost))
        return table

    def _op_table(self) -> Table:
        table = _table("operation", "operator", "result", "FLOPs", "params", "read", "written", text_columns=3)
        for op, cost in zip(self._graph, self._costs, strict=True):
            table.add_row(
                op.name, op.qualified_type, self._result_shapes(op), format_count(cost.flops), *_memory_cells(cost)
            )
        return table

    def _result_shapes(self, op: Op) -> str:
        return " ".join(_shape(value) for value in self._graph.results(op))


def _tensor(value: Value) -> dict[str, object]:
    return {
        "name": value.name,
        "dtype": str(value.dtype),
        "shape": None if value.shape is None else list(value.shape),
    }


def _shape(value: Value) -> str:
    if value.shape is None:
        return "?"
    return "x".join(map(str, value.shape)) or "scalar"


def _memory_cells(cost: OpCost) -> tuple[str, str, str]:
    return format_count(cost.params), format_count(cost.bytes_read), format_count(cost.bytes_written)


def _table(*headings: str, text_columns: int) -> Table:
    """An empty table whose first ``text_columns`` columns hold text and whose others hold numbers."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column, heading in enumerate(headings):
        if column < text_columns:
            table.add_column(heading, overflow="fold")
        else:
            table.add_column(heading, justify="right", no_wrap=True)
    return table
