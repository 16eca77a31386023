"""Turns what is known before the run into weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from costmodel.graph.costs import op_flops
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

    An operation of much arithmetic stays, and so does what reads its result, though what they make counts as
    a weight all the same: a runtime that does not fold constants, PyTorch for one, standardises the weights
    of a convolution at every run.  The runtimes of ONNX files do it once: for those, set no limit.

    1. ``t = Transpose(weight); y = MatMul(x, t)`` → ``y = MatMul(x, weight')``
    2. ``s = Shape(x); n = Gather(s, 0)`` → nothing; ``n`` is a weight
    3. ``p = Range(0, 8, 1); e = Gather(table, p)`` → nothing; ``e`` is a weight
    4. ``w' = InstanceNormalization(w); y = Conv(x, w')`` → the same, ``w'`` being a weight
    5. ``t = Identity(weight); y = MatMul(x, t)`` → ``y = MatMul(x, weight)``: layers that share a weight still do
    6. ``s = Slice(table); t = Slice(table)``, alike → ``t`` is ``s``: a table that every layer cuts counts once

    Args:
        most_flops: From so many FLOPs on, an operation stays; by default what takes a few microseconds.
    """

    def __init__(self, most_flops: float = 100_000) -> None:
        self.most_flops = most_flops

    def run(self, graph: OpGraph) -> OpGraph:
        """See :meth:`Pass.run`."""
        edits = Rewriter(graph)
        known = {value.name: value for value in graph.values.values() if value.is_weight}
        same_as: dict[str, str] = {}
        twins: dict[object, str] = {}
        made_at_run: set[str] = set()
        for op in graph.ops:
            if op.domain or not (_reads_weights_only(op, known) or _asks_for_known_shape(op, graph)):
                continue
            inputs = tuple(same_as.get(name, name) for name in op.inputs)
            computation = (op.op_type, inputs, frozenset(op.attributes.items()))
            twin = inputs[0] if op.op_type == "Identity" else twins.get(computation)
            if twin is not None:
                known[op.outputs[0]] = known[twin]
                same_as[op.outputs[0]] = twin
                edits.forward(op, twin)
                continue
            results = _folded(op, graph, known)
            known.update((value.name, value) for value in results)
            if made_at_run.isdisjoint(inputs) and op_flops(op, graph) < self.most_flops:
                edits.turn_into_weights(op, results)
                if len(op.outputs) == 1:
                    twins[computation] = op.outputs[0]
                continue
            made_at_run.update(op.outputs)
            if not all(graph.values[value.name].is_weight for value in results):
                edits.keep_as_weights(op, results)
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
    results = graph.results(op)
    data = _elements(op, graph, known) if len(results) == 1 else None
    return [Value(value.name, value.dtype, value.shape, ValueKind.WEIGHT, data) for value in results]


def _elements(op: Op, graph: OpGraph, known: dict[str, Value]) -> NDArray[np.generic] | None:
    if _asks_for_known_shape(op, graph):
        return _shape_asked(op, graph)
    operands = [known[name].data if name else None for name in op.inputs]
    return evaluated(op, operands, graph.results(op)[0].shape)


def _shape_asked(op: Op, graph: OpGraph) -> NDArray[np.generic]:
    shape = graph.values[op.inputs[0]].shape or ()
    if op.op_type == "Size":
        return np.array(np.prod(shape, dtype=np.int64))
    end = op.attributes.get("end")
    return np.array(shape[op.attr_int("start", 0) : end if isinstance(end, int) else None], dtype=np.int64)
