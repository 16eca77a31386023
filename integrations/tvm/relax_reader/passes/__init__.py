"""What Relax, or a frontend on its way into Relax, spells out, recognised again; one a file."""

from costmodel.integrations.tvm.relax_reader.passes.fuse_clips import FuseClips
from costmodel.integrations.tvm.relax_reader.passes.fuse_hard_sigmoid import FuseHardSigmoid
from costmodel.integrations.tvm.relax_reader.passes.fuse_lrn import FuseLrn
from costmodel.integrations.tvm.relax_reader.passes.fuse_safe_softmax import FuseSafeSoftmax
from costmodel.integrations.tvm.relax_reader.passes.fuse_softplus import FuseSoftplus
from costmodel.integrations.tvm.relax_reader.passes.fuse_transposes import FuseTransposes
from costmodel.integrations.tvm.relax_reader.passes.pipeline import RELAX_PASSES
from costmodel.integrations.tvm.relax_reader.passes.shared_matrix import SharedMatrix
from costmodel.integrations.tvm.relax_reader.passes.split_batches import SplitBatches

__all__ = [
    "RELAX_PASSES",
    "FuseClips",
    "FuseHardSigmoid",
    "FuseLrn",
    "FuseSafeSoftmax",
    "FuseSoftplus",
    "FuseTransposes",
    "SharedMatrix",
    "SplitBatches",
]
