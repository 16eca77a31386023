"""One spelling for a product with a weight matrix."""

from __future__ import annotations

from costmodel.graph.op_graph import Op, OpGraph
from costmodel.graph.passes.base import Pass
from costmodel.graph.passes.matching import Wiring
from costmodel.graph.passes.rewriting import Rewriter

__all__ = ["CanonicalGemm"]


class CanonicalGemm(Pass):
    """Write a product with a two-dimensional floating-point weight as ``Gemm``.

    The house's ``Gemm`` takes a left operand of any rank from two: ONNX allows
    exactly two, so exporters write a linear layer on tokens as ``MatMul`` and one on
    vectors as ``Gemm``, though both run the same kernel.  The bias that
    follows is taken in by :class:`~costmodel.graph.passes.fold_affine.FoldAffine`.

    1. ``MatMul(x, weight)`` → ``Gemm(x, weight)``
    """

    def run(self, graph: OpGraph) -> OpGraph:
        """See :meth:`Pass.run`."""
        edits = Rewriter(graph)
        for op in graph.ops:
            if op.op_type == "MatMul" and not op.domain and _is_product_with_matrix(op, edits.wiring):
                edits.fuse((op,), "Gemm", op.inputs, op.attributes)
        return edits.apply()


def _is_product_with_matrix(op: Op, wiring: Wiring) -> bool:
    left, right = (wiring.graph.values[name] for name in op.inputs)
    if left.shape is None or right.shape is None or not right.is_weight:
        return False
    return len(left.shape) >= 2 and len(right.shape) == 2 and right.dtype.is_float and not right.dtype.is_quantized
