"""Moves reshapes of leading axes in front of the transpose of a matrix."""

from __future__ import annotations

from dataclasses import replace

from costmodel.graph.op_graph import Op, OpGraph
from costmodel.graph.passes.base import Pass
from costmodel.graph.passes.matching import Wiring
from costmodel.graph.passes.rewriting import Rewriter

__all__ = ["HoistReshape"]


class HoistReshape(Pass):
    """Transpose matrices after their leading axes are split or merged, not before.

    Exporters that transpose stacks of matrices one axis deep write the first form;
    :class:`~costmodel.graph.passes.fuse_attention.FuseAttention` looks for the second.

    1. ``Reshape(Transpose(x) from (6, 7, 16) to (6, 16, 7))`` to (2, 3, 16, 7) →
       ``Transpose(Reshape(x) to (2, 3, 7, 16))`` to (2, 3, 16, 7)
    """

    def run(self, graph: OpGraph) -> OpGraph:
        """See :meth:`Pass.run`."""
        edits = Rewriter(graph)
        for op in graph.ops:
            if op.op_type != "Reshape" or op.domain:
                continue
            transpose = edits.wiring.producer(op.inputs[0], "Transpose")
            if transpose is not None and edits.wiring.sole_reader(op.inputs[0]) is op:
                _hoist(op, transpose, edits)
        return edits.apply()


def _hoist(reshape: Op, transpose: Op, edits: Rewriter) -> None:
    wiring = edits.wiring
    before, after = wiring.shape(reshape.inputs[0]), wiring.shape(reshape.outputs[0])
    if not before or not after or len(after) < 2 or before[-2:] != after[-2:] or not _swaps_last_two(transpose, wiring):
        return
    result = edits.graph.values[reshape.outputs[0]]
    shape = (*after[:-2], after[-1], after[-2])
    name = edits.declare(replace(result, name=edits.fresh_name(f"{result.name}.untransposed"), shape=shape))
    perm = (*range(len(after) - 2), len(after) - 1, len(after) - 2)
    first = replace(reshape, inputs=(transpose.inputs[0], *reshape.inputs[1:]), outputs=(name,))
    second = replace(transpose, inputs=(name,), outputs=reshape.outputs, attributes={"perm": perm})
    edits.replace((transpose, reshape), (first, second))


def _swaps_last_two(transpose: Op, wiring: Wiring) -> bool:
    perm = wiring.permutation(transpose) or ()
    rank = len(perm)
    return rank >= 2 and perm == (*range(rank - 2), rank - 1, rank - 2)
