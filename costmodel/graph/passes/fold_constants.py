"""Turns what is known before the run into weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from costmodel.graph.op_graph import Op, OpGraph, Value, ValueKind
from costmodel.graph.passes.base import Pass
from costmodel.graph.passes.constant_arithmetic import evaluated
from costmodel.graph.passes.rewriting import Rewriter

__all__ = ["FoldConstants"]


class FoldConstants(Pass):
    """Fold operations that read nothing but weights, and arithmetic on shapes.

    The result is a weight of the shape and dtype the operation would have made.
    Its elements are computed only where they are few and cheap, for they may
    decide another operation's shape.  Random numbers are drawn at every run, and a
    quantised weight is stored quantised: neither is folded.

    1. ``t = Transpose(weight); y = MatMul(x, t)`` → ``y = MatMul(x, weight')``
    2. ``s = Shape(x); n = Gather(s, 0)`` → nothing; ``n`` is a weight
    3. ``p = Range(0, 8, 1); e = Gather(table, p)`` → nothing; ``e`` is a weight
    4. ``t = Identity(weight); y = MatMul(x, t)`` → ``y = MatMul(x, weight)``: layers that share a weight still do
    """

    def run(self, graph: OpGraph) -> OpGraph:
        """See :meth:`Pass.run`."""
        edits = Rewriter(graph)
        known = {value.name: value for value in graph.values.values() if value.is_weight}
        for op in graph.ops:
            if op.domain or not (_reads_weights_only(op, known) or _asks_for_known_shape(op, graph)):
                continue
            if op.op_type == "Identity":
                known[op.outputs[0]] = known[op.inputs[0]]
                edits.forward(op, op.inputs[0])
                continue
            results = _folded(op, graph, known)
            known.update((value.name, value) for value in results)
            edits.turn_into_weights(op, results)
        return edits.apply()


# The body of a loop or a branch may read values that are not among its operands.
_NEVER_FOLDED = frozenset(
    {
        "Bernoulli",
        "DequantizeLinear",
        "If",
        "Loop",
        "Multinomial",
        "RandomNormal",
        "RandomNormalLike",
        "RandomUniform",
        "RandomUniformLike",
        "Scan",
    }
)


def _reads_weights_only(op: Op, known: dict[str, Value]) -> bool:
    return op.op_type not in _NEVER_FOLDED and all(name in known for name in op.inputs if name)


def _asks_for_known_shape(op: Op, graph: OpGraph) -> bool:
    return op.op_type in ("Shape", "Size") and bool(op.inputs) and graph.values[op.inputs[0]].shape is not None


def _folded(op: Op, graph: OpGraph, known: dict[str, Value]) -> list[Value]:
    weights = [replace(value, kind=ValueKind.WEIGHT) for value in graph.results(op)]
    if len(weights) == 1:
        data = _shape_asked(op, graph)
        if data is None:
            operands = [known[name].data if name else None for name in op.inputs]
            data = evaluated(op, operands, weights[0].shape)
        weights[0] = replace(weights[0], data=data)
    return weights


def _shape_asked(op: Op, graph: OpGraph) -> NDArray[np.generic] | None:
    if not _asks_for_known_shape(op, graph):
        return None
    shape = graph.values[op.inputs[0]].shape or ()
    if op.op_type == "Size":
        return np.array(np.prod(shape, dtype=np.int64))
    end = op.attributes.get("end")
    return np.array(shape[op.attr_int("start", 0) : end if isinstance(end, int) else None], dtype=np.int64)
