"""``costmodel inspect``: what the cost model sees of a model file."""

from __future__ import annotations

from typing import Annotated

import typer

from costmodel.cli.options import BatchOption, FileOption, FormatOption, ShapeOption, parse_shapes
from costmodel.cli.output import Format, Output

__all__ = ["inspect"]


def inspect(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="ONNX file; its weights are not needed.")],
    batch: BatchOption = None,
    shape: ShapeOption = None,
    ops: Annotated[bool, typer.Option("--ops", help="List every operation, not only the totals per operator.")] = False,
    form: FormatOption = Format.TABLE,
    file: FileOption = None,
) -> None:
    """Show a model's operations, FLOPs, parameters and bytes."""
    shapes = parse_shapes(shape)
    from costmodel.cli.graph_report import GraphReport
    from costmodel.graph import load_graph

    graph = load_graph(model, shapes=shapes, batch=batch)
    Output(form, file).write(GraphReport(model, graph, per_op=ops))
