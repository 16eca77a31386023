"""A network as a DAG of operations, read from ONNX or torch, with what each operation costs."""

from costmodel.graph.cell_graph import CellGraph
from costmodel.graph.costs import OpCost, op_cost, op_costs, total_cost
from costmodel.graph.dtypes import DType
from costmodel.graph.load import load_graph
from costmodel.graph.op_graph import Op, OpGraph, Value, ValueKind
from costmodel.graph.vocabulary import OTHER, VOCABULARY

__all__ = [
    # the graph
    "CellGraph",
    "DType",
    "Op",
    "OpGraph",
    "Value",
    "ValueKind",
    # reading
    "load_graph",
    # what an operation costs
    "OpCost",
    "op_cost",
    "op_costs",
    "total_cost",
    # words
    "OTHER",
    "VOCABULARY",
]
