"""Simplification passes over :class:`~costmodel.graph.op_graph.OpGraph`, one a file.

:func:`simplify` runs them all.  Write another by subclassing :class:`Pass`, or
:class:`PatternPass` when it is a list of expressions and what each becomes.
"""

from __future__ import annotations

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
from costmodel.graph.passes.pattern_pass import PatternPass, Rule
from costmodel.graph.passes.pipeline import DEFAULT_PASSES, ONNX_PASSES, simplify

__all__ = [
    "DEFAULT_PASSES",
    "ONNX_PASSES",
    "CanonicalGemm",
    "CanonicalReshape",
    "CanonicalSplit",
    "DropDead",
    "DropNoops",
    "FoldAffine",
    "FoldConstants",
    "FuseActivations",
    "FuseAttention",
    "FuseNorms",
    "FusePad",
    "FuseQdq",
    "GlobalPool",
    "HoistReshape",
    "InlineOperands",
    "Pass",
    "PatternPass",
    "Rule",
    "simplify",
]
