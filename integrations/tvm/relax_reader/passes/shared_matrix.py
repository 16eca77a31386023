"""One matrix for all of a batch."""

from __future__ import annotations

from dataclasses import replace

from costmodel.graph.op_graph import Op, OpGraph
from costmodel.graph.passes import Pass
from costmodel.graph.passes.matching import Wiring
from costmodel.graph.passes.rewriting import Rewriter

__all__ = ["SharedMatrix"]


class SharedMatrix(Pass):
    """Multiply a batch with one matrix where a frontend first copies the matrix for every member of the batch.

    The copies would count as weights of their own.

    1. ``MatMul(x, Expand(w))`` of (8, 5, 3) and (3, 4) as (8, 3, 4) → ``MatMul(x, w)``
    """

    def run(self, graph: OpGraph) -> OpGraph:
        """See :meth:`Pass.run`."""
        edits = Rewriter(graph)
        for op in graph.ops:
            if op.op_type == "MatMul" and not op.domain:
                matrix = _copied(op, edits.wiring)
                if matrix:
                    edits.replace((op,), (replace(op, inputs=(op.inputs[0], matrix)),))
        return edits.apply()


def _copied(product: Op, wiring: Wiring) -> str:
    """The matrix that the right operand has copies of; ``""`` where it is something else."""
    expand = wiring.producer(product.inputs[1], "Expand")
    if expand is None:
        return ""
    shape, matrix = wiring.shape(product.inputs[1]), wiring.shape(expand.inputs[0])
    batch = wiring.shape(product.inputs[0])
    if shape is None or matrix is None or batch is None:
        return ""
    same_batch = len(batch) >= len(shape) and batch[-len(shape) : -2] == shape[:-2]
    return expand.inputs[0] if len(matrix) == 2 and matrix == shape[-2:] and same_batch else ""
