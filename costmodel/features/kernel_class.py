"""Classes of operations that run on the same sort of kernel, and so at rates of their own."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from jaxtyping import Float, Int

from costmodel.features.tokens import FEATURE_NAMES, MOST_ALIGNED
from costmodel.graph.vocabulary import VOCABULARY

__all__ = ["KernelClass", "kernel_classes"]


class KernelClass(IntEnum):
    """What sort of kernel an operation runs on.

    A dense convolution reaches most of a device's arithmetic, a depthwise one a small part of it; a product of
    one row by a matrix does nothing but read the matrix; a group norm may cost ten times a layer norm of its size.
    """

    OTHER = 0
    CONV = 1
    POINTWISE_CONV = 2
    GROUPED_CONV = 3
    DEPTHWISE_CONV = 4
    MATMUL = 5
    VECTOR_PRODUCT = 6
    """A product by a weight with one row an image: a classifier, a gate of squeeze-and-excitation."""
    BATCHED_MATMUL = 7
    """A product of two activations, attention among them."""
    LAYER_NORM = 8
    GROUP_NORM = 9
    REDUCTION = 10
    POOLING = 11
    DATA_MOVEMENT = 12
    ELEMENTWISE = 13
    ON_WEIGHTS = 14
    """Arithmetic on weights alone, which some runtimes do once, when they load the network."""
    UNALIGNED_CONV = 15
    """A convolution whose channels are no multiple of four: blocked layouts and vector units do not fit it."""
    UNALIGNED_DEPTHWISE_CONV = 16


def kernel_classes(
    op_types: Int[np.ndarray, "nodes"], tokens: Float[np.ndarray, "nodes features"]
) -> Int[np.ndarray, "nodes"]:
    """The :class:`KernelClass` of each operation, from its type and its numeric features."""
    classes: Int[np.ndarray, "nodes"] = _OF_TYPE[op_types]
    is_conv = classes == KernelClass.CONV
    is_grouped = is_conv & (tokens[:, _GROUPS] > _ONE)
    is_depthwise = is_conv & (tokens[:, _IS_DEPTHWISE] > 0)
    is_pointwise = is_conv & ~is_grouped & (tokens[:, _IS_POINTWISE] > 0)
    is_matmul = classes == KernelClass.MATMUL
    is_by_weight = tokens[:, _SECOND_IS_WEIGHT] > 0
    is_unaligned = (tokens[:, _IN_ALIGNMENT] < _FOURS) & (tokens[:, _IN_CHANNELS] > _AN_IMAGE)
    is_unaligned |= tokens[:, _OUT_ALIGNMENT] < _FOURS
    # Later lines win.
    classes[is_pointwise] = KernelClass.POINTWISE_CONV
    classes[is_conv & ~is_grouped & is_unaligned] = KernelClass.UNALIGNED_CONV
    classes[is_grouped] = KernelClass.GROUPED_CONV
    classes[is_depthwise] = KernelClass.DEPTHWISE_CONV
    classes[is_depthwise & is_unaligned] = KernelClass.UNALIGNED_DEPTHWISE_CONV
    classes[is_matmul & ~is_by_weight] = KernelClass.BATCHED_MATMUL
    is_vector = tokens[:, _ROWS] <= _ONE
    classes[is_vector & (is_pointwise | (is_matmul & is_by_weight))] = KernelClass.VECTOR_PRODUCT
    classes[tokens[:, _IS_ON_WEIGHTS] > 0] = KernelClass.ON_WEIGHTS
    return classes


_GROUPS, _ROWS, _IS_DEPTHWISE, _IS_POINTWISE, _SECOND_IS_WEIGHT, _IS_ON_WEIGHTS = map(
    FEATURE_NAMES.index, ("groups", "rows", "is_depthwise", "is_pointwise", "second_is_weight", "is_on_weights")
)
_IN_CHANNELS, _IN_ALIGNMENT, _OUT_ALIGNMENT = map(
    FEATURE_NAMES.index, ("in_channels", "in_channels_alignment", "out_channels_alignment")
)
_ONE = np.float32(1 / 8)
"""How a size of one is written in a token, ``log2(1 + 1) / 8``."""
_AN_IMAGE = np.float32(np.log2(1 + 4) / 8)
"""How four channels are written: a first convolution reads fewer than that, and has kernels of its own."""
_FOURS = np.float32(1.5 / MOST_ALIGNED)
"""Between the alignments of two and of four."""

_TYPES: dict[KernelClass, tuple[str, ...]] = {
    KernelClass.CONV: ("Conv", "ConvTranspose", "QLinearConv"),
    KernelClass.MATMUL: ("Gemm", "MatMul", "QLinearMatMul"),
    KernelClass.BATCHED_MATMUL: ("Attention", "Einsum"),
    KernelClass.LAYER_NORM: ("LayerNormalization", "RMSNormalization"),
    KernelClass.GROUP_NORM: ("GroupNormalization", "InstanceNormalization"),
    KernelClass.REDUCTION: (
        *("Softmax", "LogSoftmax", "GlobalAveragePool", "GlobalMaxPool", "ReduceMean", "ReduceSum", "ReduceMax"),
        *("ReduceL2", "LpNormalization", "CumSum", "ArgMax", "TopK"),
    ),
    KernelClass.POOLING: ("MaxPool", "AveragePool", "LRN", "Resize", "GridSample"),
    KernelClass.DATA_MOVEMENT: (
        *("Transpose", "Concat", "Split", "Slice", "Pad", "Expand", "Tile", "Gather", "Scatter"),
        *("DepthToSpace", "SpaceToDepth", "Im2Col", "Col2Im"),
    ),
    KernelClass.ELEMENTWISE: (
        *("BatchNormalization", "Relu", "LeakyRelu", "PRelu", "Elu", "Clip", "Sigmoid", "HardSigmoid", "Tanh"),
        *("Gelu", "Swish", "HardSwish", "Mish", "Softplus", "Erf", "Add", "Sub", "Mul", "Div", "Pow", "Sqrt", "Exp"),
        *("Log", "Neg", "Abs", "Reciprocal", "Sin", "Cos", "Max", "Min", "Where", "Compare", "Cast"),
        *("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearElementwise"),
    ),
}
_CLASS_OF = {op_type: kernel for kernel, op_types in _TYPES.items() for op_type in op_types}
_OF_TYPE = np.array([_CLASS_OF.get(op_type, KernelClass.OTHER) for op_type in VOCABULARY], dtype=np.int64)
