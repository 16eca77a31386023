"""The order of the passes over a graph that comes from Relax."""

from __future__ import annotations

from costmodel.graph.passes import ONNX_PASSES, Pass
from costmodel.integrations.tvm.relax_reader.passes.fuse_clips import FuseClips
from costmodel.integrations.tvm.relax_reader.passes.fuse_hard_sigmoid import FuseHardSigmoid
from costmodel.integrations.tvm.relax_reader.passes.fuse_lrn import FuseLrn
from costmodel.integrations.tvm.relax_reader.passes.fuse_safe_softmax import FuseSafeSoftmax
from costmodel.integrations.tvm.relax_reader.passes.fuse_softplus import FuseSoftplus
from costmodel.integrations.tvm.relax_reader.passes.fuse_transposes import FuseTransposes
from costmodel.integrations.tvm.relax_reader.passes.shared_matrix import SharedMatrix
from costmodel.integrations.tvm.relax_reader.passes.split_batches import SplitBatches

__all__ = ["RELAX_PASSES"]

RELAX_PASSES: tuple[Pass, ...] = (
    # What is spelt out comes first, before anything else takes part of it.
    FuseLrn(),
    FuseClips(),
    FuseHardSigmoid(),
    FuseSoftplus(),
    FuseSafeSoftmax(),
    FuseTransposes(),
    SharedMatrix(),
    SplitBatches(),
    # TVM folds constants when it compiles, as the runtimes of ONNX files do when they load.
    *ONNX_PASSES,
)
"""The passes for :func:`costmodel.graph.passes.simplify`."""
