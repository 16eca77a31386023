"""Computes the small tensors that decide shapes: what exporters make of ``x.shape[0] // 2``."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np
import onnx
from numpy.typing import NDArray

from costmodel.graph.onnx.facts import Facts
from costmodel.graph.op_graph import MAX_KEPT_ELEMENTS

__all__ = ["READS_SHAPE_ONLY", "evaluate_node"]

READS_SHAPE_ONLY = frozenset({"Shape", "Size"})
"""Operators whose result does not depend on the elements of their input."""

_SHAPE_ARITHMETIC = READS_SHAPE_ONLY | {
    *("Abs", "Add", "Ceil", "Div", "Floor", "Max", "Min", "Mod", "Mul", "Neg", "Pow", "Round", "Sign", "Sqrt", "Sub"),
    *("And", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Not", "Or", "Where", "Xor"),
    *("ReduceMax", "ReduceMin", "ReduceProd", "ReduceSum", "CumSum"),
    *("Cast", "Concat", "ConstantOfShape", "Expand", "Flatten", "Gather", "GatherElements", "GatherND", "Identity"),
    *("Pad", "Range", "Reshape", "ScatterElements", "ScatterND", "Slice", "Split", "Squeeze", "Tile", "Transpose"),
    "Unsqueeze",
}


def evaluate_node(node: onnx.NodeProto, facts: Facts) -> None:
    """Adds the elements of the outputs of ``node`` to ``facts.data`` if they are few and follow from what is there.

    ONNX's reference implementation does the arithmetic, in the version of the operator that the model uses.
    """
    if node.op_type not in _SHAPE_ARITHMETIC or node.domain:
        return
    inputs = _known_inputs(node, facts)
    if inputs is None or not _outputs_are_small(node, facts):
        return
    for name, elements in _run(node, inputs, facts.opsets).items():
        facts.data[name] = elements


def _known_inputs(node: onnx.NodeProto, facts: Facts) -> dict[str, NDArray[np.generic]] | None:
    names = [name for name in node.input if name]
    if node.op_type in READS_SHAPE_ONLY:
        stand_in = _zeros(facts.shape(names[0])) if names else None
        return None if stand_in is None else {names[0]: stand_in}
    if all(name in facts.data for name in names):
        return {name: facts.data[name] for name in names}
    return None


def _zeros(shape: tuple[int, ...] | None) -> NDArray[np.generic] | None:
    """A zero seen through a view of ``shape``, which takes no memory; ``None`` where numpy has no such shape."""
    if shape is None:
        return None
    try:
        return np.broadcast_to(np.float32(0), shape)
    except ValueError:
        return None


def _outputs_are_small(node: onnx.NodeProto, facts: Facts) -> bool:
    shapes = [facts.shape(name) for name in node.output if name]
    return all(shape is not None and prod(shape) <= MAX_KEPT_ELEMENTS for shape in shapes)


def _run(
    node: onnx.NodeProto, inputs: Mapping[str, NDArray[np.generic]], opsets: Mapping[str, int]
) -> dict[str, NDArray[np.generic]]:
    from onnx.reference import ReferenceEvaluator

    names = [name for name in node.output if name]
    graph = onnx.GraphProto(
        node=[node],
        input=[onnx.ValueInfoProto(name=name) for name in inputs],
        output=[onnx.ValueInfoProto(name=name) for name in names],
    )
    try:
        with np.errstate(all="ignore"):
            outputs = ReferenceEvaluator(graph, opsets=dict(opsets)).run(None, dict(inputs))
    except Exception:  # a malformed node makes the reference implementation raise anything: the value stays unknown
        return {}
    return {name: np.asarray(elements) for name, elements in zip(names, outputs, strict=True)}
