"""Moves explicit padding into the convolution or pooling that follows."""

from __future__ import annotations

from math import inf

from costmodel.graph.op_graph import AttributeValue, Op, OpGraph
from costmodel.graph.passes.base import Pass
from costmodel.graph.passes.matching import Wiring
from costmodel.graph.passes.rewriting import Rewriter

__all__ = ["FusePad"]


class FusePad(Pass):
    """Fuse a ``Pad`` of the spatial axes into the ``Conv``, ``AveragePool`` or ``MaxPool`` that alone reads it.

    The padding must be what the operator itself pads with: zeros, counted as
    elements, for a convolution or an average; for a maximum, minus infinity, or
    zeros in front of which nothing is negative.

    1. ``Conv(Pad(x) {pads: (0, 0, 1, 1, 0, 0, 1, 1)}, w)`` → ``Conv(x, w) {pads: (1, 1, 1, 1)}``
    2. ``AveragePool(Pad(x))`` → ``AveragePool(x) {pads, count_include_pad: 1}``
    """

    def run(self, graph: OpGraph) -> OpGraph:
        """See :meth:`Pass.run`."""
        edits = Rewriter(graph)
        for op in graph.ops:
            if op.op_type not in _PADDED_OPERATORS or op.domain:
                continue
            pad = edits.wiring.producer(op.inputs[0], "Pad")
            if pad is None or edits.wiring.sole_reader(pad.outputs[0]) is not op or edits.is_taken(pad):
                continue
            pads = _fused_pads(pad, op, edits.wiring)
            if pads:
                attributes = {name: value for name, value in op.attributes.items() if name != "auto_pad"}
                inputs = (pad.inputs[0], *op.inputs[1:])
                edits.fuse((pad, op), op.op_type, inputs, {**attributes, **pads}, main=op)
        return edits.apply()


_PADDED_OPERATORS = frozenset({"AveragePool", "Conv", "MaxPool"})
_NEVER_NEGATIVE = frozenset({"HardSigmoid", "Relu", "Sigmoid", "Softmax", "Softplus"})


def _fused_pads(pad: Op, op: Op, wiring: Wiring) -> dict[str, AttributeValue]:
    """Attributes of ``op`` with the padding in them; empty when it cannot be fused."""
    added = _spatial_pads(pad, wiring)
    own = op.attr_ints("pads") or (0,) * len(added)
    if not added or len(own) != len(added) or not _pads_alike(pad, op, wiring):
        return {}
    if op.attributes.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID") or op.attr_int("ceil_mode", 0):
        return {}
    pads: dict[str, AttributeValue] = {"pads": tuple(a + b for a, b in zip(own, added, strict=True))}
    if op.op_type == "AveragePool":
        if any(own) and not op.attr_int("count_include_pad", 0):
            return {}
        pads["count_include_pad"] = 1
    return pads


def _spatial_pads(pad: Op, wiring: Wiring) -> tuple[int, ...]:
    """Elements added before each spatial axis, then after each; empty when unknown, negative or not spatial."""
    shape = wiring.shape(pad.inputs[0])
    listed = pad.attr_ints("pads")
    if shape is None or any(pad.inputs[3:]) or not listed:
        return ()
    rank = len(shape)
    axes = tuple(axis % rank for axis in pad.attr_ints("axes")) or tuple(range(rank))
    if len(listed) != 2 * len(axes) or min(listed) < 0:
        return ()
    before, after = [0] * rank, [0] * rank
    for position, axis in enumerate(axes):
        before[axis], after[axis] = listed[position], listed[position + len(axes)]
    return () if any(before[:2] + after[:2]) else (*before[2:], *after[2:])


def _pads_alike(pad: Op, op: Op, wiring: Wiring) -> bool:
    if pad.attributes.get("mode", "constant") != "constant":
        return False
    fill = pad.attributes.get("value", 0.0)
    if len(pad.inputs) > 2 and pad.inputs[2]:
        number = wiring.number(pad.inputs[2])
        if number is None:
            return wiring.is_scalar(pad.inputs[2])
        fill = number
    if op.op_type != "MaxPool":
        return fill == 0
    return fill == -inf or (fill == 0 and wiring.producer(pad.inputs[0], *_NEVER_NEGATIVE) is not None)
