"""Removes what nobody needs."""

from __future__ import annotations

from dataclasses import replace

from costmodel.graph.op_graph import Op, OpGraph
from costmodel.graph.passes.base import Pass
from costmodel.graph.passes.rewriting import without_trailing_blanks

__all__ = ["DropDead"]


class DropDead(Pass):
    """Drop operations whose results reach no output, and optional results nobody reads.

    1. ``a = Relu(x); b = Exp(x); output a`` → ``a = Relu(x)``
    2. ``y, indices = MaxPool(x); output y`` → ``y = MaxPool(x)``
    """

    def run(self, graph: OpGraph) -> OpGraph:
        """See :meth:`Pass.run`."""
        needed = set(graph.outputs)
        kept: list[Op] = []
        changed = False
        for op in reversed(graph.ops):
            if needed.isdisjoint(op.outputs):
                changed = True
                continue
            if len(op.outputs) > 1 and op.op_type in _OPTIONAL_RESULTS:
                trimmed = _without_unread_results(op, needed)
                changed |= trimmed is not op
                op = trimmed
            needed.update(op.inputs)
            kept.append(op)
        return graph.replaced(reversed(kept)) if changed else graph


_OPTIONAL_RESULTS = frozenset(
    {"BatchNormalization", "Dropout", "GRU", "LSTM", "LayerNormalization", "MaxPool", "RNN", "Unique"}
)
"""Operators whose results after the first are made on request only."""


def _without_unread_results(op: Op, needed: set[str]) -> Op:
    rest = (name if name in needed else "" for name in op.outputs[1:])
    outputs = without_trailing_blanks((op.outputs[0], *rest))
    return op if outputs == op.outputs else replace(op, outputs=outputs)
