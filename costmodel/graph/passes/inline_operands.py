"""Turns operands that are really settings into attributes."""

from __future__ import annotations

from dataclasses import replace

from costmodel.graph.op_graph import AttributeValue, Op, OpGraph
from costmodel.graph.passes.base import Pass
from costmodel.graph.passes.matching import Wiring
from costmodel.graph.passes.rewriting import Rewriter, without_trailing_blanks

__all__ = ["InlineOperands"]


class InlineOperands(Pass):
    """Write known axes, bounds, pads and the like as attributes, in every opset.

    ONNX moved such settings from attributes to operands over the years; torch
    never had them as tensors.  An operand that only decides the shape of the
    result (a reshape's target) says nothing the result does not, and is dropped.

    1. ``ReduceMean(x, axes=[1])``, the axes an operand → ``ReduceMean(x) {axes: (1,)}``
    2. ``Clip(x, 0.0, 6.0)`` → ``Clip(x) {min: 0.0, max: 6.0}``
    3. ``Reshape(x, [0, -1])`` → ``Reshape(x)``
    """

    def run(self, graph: OpGraph) -> OpGraph:
        """See :meth:`Pass.run`."""
        edits = Rewriter(graph)
        for op in graph.ops:
            if op.domain:
                continue
            if op.op_type in _TARGET_ONLY:
                inlined = _without_target(op, edits.wiring)
            elif op.op_type in _SETTINGS:
                inlined = _with_attributes(op, edits.wiring)
            else:
                continue
            if inlined is not op:
                edits.replace((op,), (inlined,))
        return edits.apply()


_TARGET_ONLY = frozenset({"Expand", "Reshape", "Resize", "Tile", "Upsample"})
_TARGET_ATTRIBUTES = frozenset({"allowzero", "scales", "shape"})

_REDUCTIONS = (
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceSum",
    "ReduceSumSquare",
)
_SETTINGS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(_REDUCTIONS, ("axes",)),
    "Clip": ("min", "max"),
    "Dropout": ("ratio", "training_mode"),
    "Pad": ("pads", "value", "axes"),
    "Slice": ("starts", "ends", "axes", "steps"),
    "Split": ("split",),
    "Squeeze": ("axes",),
    "TopK": ("k",),
    "Trilu": ("k",),
    "Unsqueeze": ("axes",),
}
"""Names of the operands after the first, as the attributes were or would be called."""

_SCALAR_SETTINGS = frozenset({"k", "max", "min", "ratio", "training_mode", "value"})


def _without_target(op: Op, wiring: Wiring) -> Op:
    shape_is_known = wiring.graph.values[op.outputs[0]].shape is not None
    redundant = len(op.inputs) > 1 or not _TARGET_ATTRIBUTES.isdisjoint(op.attributes)
    if not (shape_is_known and redundant and all(wiring.is_weight(name) for name in op.inputs[1:] if name)):
        return op
    attributes = {name: value for name, value in op.attributes.items() if name not in _TARGET_ATTRIBUTES}
    return replace(op, inputs=op.inputs[:1], attributes=attributes)


def _with_attributes(op: Op, wiring: Wiring) -> Op:
    inputs = list(op.inputs)
    attributes = dict(op.attributes)
    for index, name in enumerate(_SETTINGS[op.op_type], start=1):
        if index < len(inputs) and inputs[index]:
            setting = _setting(name, inputs[index], wiring)
            if setting is None:
                continue
            inputs[index] = ""
            if setting != ():
                attributes[name] = setting
    kept = without_trailing_blanks(inputs)
    return op if kept == op.inputs else replace(op, inputs=kept, attributes=attributes)


def _setting(name: str, value_name: str, wiring: Wiring) -> AttributeValue | None:
    value = wiring.graph.values[value_name]
    if value.data is None or value.data.dtype.kind not in "biuf":
        return None
    numbers = tuple(value.data.flatten().tolist())
    if name not in _SCALAR_SETTINGS:
        return numbers
    if len(numbers) != 1:
        return None
    return int(numbers[0]) if isinstance(numbers[0], bool) else numbers[0]
