"""The default order of the passes."""

from __future__ import annotations

from math import inf

from costmodel.graph.op_graph import OpGraph
from costmodel.graph.passes.base import Pass
from costmodel.graph.passes.canonical_gemm import CanonicalGemm
from costmodel.graph.passes.canonical_reshape import CanonicalReshape
from costmodel.graph.passes.canonical_split import CanonicalSplit
from costmodel.graph.passes.drop_dead import DropDead
from costmodel.graph.passes.drop_noops import DropNoops
from costmodel.graph.passes.fold_affine import FoldAffine
from costmodel.graph.passes.fold_constants import FoldConstants
from costmodel.graph.passes.fuse_activations import FuseActivations
from costmodel.graph.passes.fuse_attention import FuseAttention
from costmodel.graph.passes.fuse_norms import FuseNorms
from costmodel.graph.passes.fuse_pad import FusePad
from costmodel.graph.passes.fuse_qdq import FuseQdq
from costmodel.graph.passes.global_pool import GlobalPool
from costmodel.graph.passes.hoist_reshape import HoistReshape
from costmodel.graph.passes.inline_operands import InlineOperands
from costmodel.graph.passes.operands import check_operands

__all__ = ["DEFAULT_PASSES", "ONNX_PASSES", "simplify"]

DEFAULT_PASSES: tuple[Pass, ...] = (
    FoldConstants(),
    InlineOperands(),
    DropNoops(),
    HoistReshape(),
    CanonicalReshape(),
    CanonicalSplit(),
    DropDead(),
    FuseQdq(),
    # The spelt-out formulas go first: a constant added after a convolution may belong to an activation.
    FuseNorms(),
    FuseActivations(),
    FuseAttention(),
    FusePad(),
    CanonicalGemm(),
    FoldAffine(),
    GlobalPool(),
)
"""The passes :func:`simplify` runs, in order."""

ONNX_PASSES: tuple[Pass, ...] = (FoldConstants(most_flops=inf), *DEFAULT_PASSES[1:])
"""The same for an ONNX file, whose runtimes work on weights once, when they load it."""

_MOST_ROUNDS = 3


def simplify(graph: OpGraph, passes: tuple[Pass, ...] = DEFAULT_PASSES) -> OpGraph:
    """``graph`` as fewer, larger operations, spelt the same whatever it was read from.

    The passes run in order, again and again until none finds anything, at most
    three times.

    Args:
        graph: The graph to simplify; left as it is.
        passes: The passes to run.

    Returns:
        An equivalent graph; ``graph`` itself when there was nothing to simplify.

    Raises:
        GraphError: An operation lacks operands that its type requires, or a pass broke its contract.
    """
    check_operands(graph)
    for _ in range(_MOST_ROUNDS):
        before = graph
        for simplification in passes:
            graph = simplification(graph)
        if graph is before:
            break
    return graph
