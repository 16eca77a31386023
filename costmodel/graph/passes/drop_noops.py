"""Removes operations that return what they were given."""

from __future__ import annotations

from collections.abc import Callable

from costmodel.graph.dtypes import DType
from costmodel.graph.op_graph import Op, OpGraph
from costmodel.graph.passes.base import Pass
from costmodel.graph.passes.matching import Wiring
from costmodel.graph.passes.rewriting import Rewriter

__all__ = ["DropNoops"]


class DropNoops(Pass):
    """Drop operations whose result is one of their operands, element for element.

    1. ``Relu(Identity(Dropout(x)))`` → ``Relu(x)``
    2. ``Cast(x)`` to the dtype it has, ``Reshape(x)`` to the shape it has → ``x``
    3. ``Add(x, 0)``, ``Mul(x, 1)``, ``Pow(x, 1)`` → ``x``, where the number is known
    4. ``Slice(x)`` of everything, ``Pad(x)`` by nothing, ``Concat(x)`` of one tensor → ``x``
    5. ``AveragePool(x)`` over one element, ``Resize(x)`` to the size it has → ``x``
    """

    def run(self, graph: OpGraph) -> OpGraph:
        """See :meth:`Pass.run`."""
        edits = Rewriter(graph)
        for op in graph.ops:
            find = _UNCHANGED_OPERAND.get(op.op_type)
            if find is None or op.domain or any(edits.wiring.is_needed(name) for name in op.outputs[1:] if name):
                continue
            operand = find(op, edits.wiring)
            if operand and _is_same_kind(operand, op.outputs[0], graph):
                edits.forward(op, operand)
        return edits.apply()


def _is_same_kind(operand: str, result: str, graph: OpGraph) -> bool:
    before, after = graph.values[operand], graph.values[result]
    is_known = before.shape is not None and DType.UNKNOWN not in (before.dtype, after.dtype)
    return is_known and before.shape == after.shape and before.dtype == after.dtype


_Finder = Callable[[Op, Wiring], str]
"""Name of the operand that the operation returns unless shape or dtype differ; ``""`` if it is none."""


def _first(op: Op, _wiring: Wiring) -> str:
    return op.inputs[0] if op.inputs else ""


def _first_at_inference(op: Op, wiring: Wiring) -> str:
    is_training = op.attr_int("training_mode", 0) or (len(op.inputs) > 2 and wiring.number(op.inputs[2]) == 1)
    return "" if is_training else op.inputs[0]


def _only(op: Op, _wiring: Wiring) -> str:
    return op.inputs[0] if len(op.inputs) == 1 else ""


def _unpadded(op: Op, _wiring: Wiring) -> str:
    return "" if any(op.attr_ints("pads")) else op.inputs[0]


def _forward_slice(op: Op, wiring: Wiring) -> str:
    steps = op.attr_ints("steps")
    if len(op.inputs) > 4 and op.inputs[4]:
        steps = wiring.integers(op.inputs[4]) or (-1,)
    return "" if any(step < 0 for step in steps) else op.inputs[0]


def _in_order(op: Op, _wiring: Wiring) -> str:
    perm = op.attr_ints("perm")
    return op.inputs[0] if perm and perm == tuple(range(len(perm))) else ""


def _only_one_with_elements(op: Op, wiring: Wiring) -> str:
    values = wiring.graph.values
    filled = [name for name in op.inputs if name and (values[name].shape is None or values[name].size > 0)]
    return filled[0] if len(filled) == 1 else ""


def _unsplit(op: Op, _wiring: Wiring) -> str:
    return op.inputs[0] if len(op.outputs) == 1 else ""


def _pools_one_element(op: Op, _wiring: Wiring) -> str:
    is_trivial = set(op.attr_ints("kernel_shape")) == {1} and not any(op.attr_ints("pads"))
    return op.inputs[0] if is_trivial else ""


def _unbounded(op: Op, _wiring: Wiring) -> str:
    has_bounds = any(op.inputs[1:]) or not {"min", "max"}.isdisjoint(op.attributes)
    return "" if has_bounds else op.inputs[0]


def _resized(op: Op, _wiring: Wiring) -> str:
    return "" if op.attributes.get("coordinate_transformation_mode") == "tf_crop_and_resize" else op.inputs[0]


def _unless(neutral: float, *, either_side: bool) -> _Finder:
    def find(op: Op, wiring: Wiring) -> str:
        left, right = op.inputs
        if wiring.number(right) == neutral:
            return left
        return right if either_side and wiring.number(left) == neutral else ""

    return find


_UNCHANGED_OPERAND: dict[str, _Finder] = {
    **dict.fromkeys(("Identity", "Cast", "CastLike", "Expand", "Flatten", "Reshape", "Squeeze", "Unsqueeze"), _first),
    **dict.fromkeys(("Tile", "GlobalAveragePool", "GlobalMaxPool", "DepthToSpace", "SpaceToDepth"), _first),
    **dict.fromkeys(("ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum"), _first),
    **dict.fromkeys(("Max", "Mean", "Min", "Sum"), _only),
    **dict.fromkeys(("AveragePool", "MaxPool"), _pools_one_element),
    **dict.fromkeys(("Resize", "Upsample"), _resized),
    "Add": _unless(0, either_side=True),
    "Clip": _unbounded,
    "Concat": _only_one_with_elements,
    "Div": _unless(1, either_side=False),
    "Dropout": _first_at_inference,
    "Mul": _unless(1, either_side=True),
    "Pad": _unpadded,
    "Pow": _unless(1, either_side=False),
    "Slice": _forward_slice,
    "Split": _unsplit,
    "Sub": _unless(0, either_side=False),
    "Transpose": _in_order,
}
