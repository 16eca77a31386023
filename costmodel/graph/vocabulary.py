"""The operation types the model has a word for, in the order its weights depend on.

Names are ONNX's.  A type that is not listed shares the word :data:`OTHER` with
every other unlisted type; its shapes, FLOPs and bytes are still seen.
New names go at the end: the position of a name is part of the feature schema.
"""

from __future__ import annotations

__all__ = ["OTHER", "VIEW_OPS", "VOCABULARY", "base_type", "op_type_index"]

OTHER = "<other>"

VOCABULARY: tuple[str, ...] = (
    OTHER,
    # linear algebra
    "Conv",
    "ConvTranspose",
    "Gemm",
    "MatMul",
    "Attention",
    "Einsum",
    # normalisation
    "BatchNormalization",
    "LayerNormalization",
    "GroupNormalization",
    "InstanceNormalization",
    "RMSNormalization",
    "LpNormalization",
    "LRN",
    "Softmax",
    "LogSoftmax",
    # activations
    "Relu",
    "LeakyRelu",
    "PRelu",
    "Elu",
    "Clip",
    "Sigmoid",
    "HardSigmoid",
    "Tanh",
    "Gelu",
    "Swish",
    "HardSwish",
    "Mish",
    "Softplus",
    "Erf",
    # element-wise arithmetic
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Pow",
    "Sqrt",
    "Exp",
    "Log",
    "Neg",
    "Abs",
    "Reciprocal",
    "Sin",
    "Cos",
    "Max",
    "Min",
    "Where",
    "Compare",
    "Cast",
    # pooling and reduction
    "MaxPool",
    "AveragePool",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "ReduceMean",
    "ReduceSum",
    "ReduceMax",
    "ReduceL2",
    "CumSum",
    "ArgMax",
    "TopK",
    # data movement
    "Transpose",
    "Concat",
    "Split",
    "Slice",
    "Pad",
    "Expand",
    "Tile",
    "Gather",
    "Scatter",
    "Resize",
    "DepthToSpace",
    "SpaceToDepth",
    "GridSample",
    "Im2Col",
    "Col2Im",
    # recurrence
    "LSTM",
    "GRU",
    "RNN",
    # quantisation
    "QuantizeLinear",
    "DequantizeLinear",
    "DynamicQuantizeLinear",
    "QLinearConv",
    "QLinearMatMul",
    "QLinearElementwise",
)

VIEW_OPS = frozenset({"Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Dropout"})
"""Types that only rename a tensor or its sizes: they compute nothing and move no byte."""

_SYNONYMS: dict[str, str] = {
    # runtime-specific spellings of an ONNX operator
    "FusedConv": "Conv",
    "NhwcConv": "Conv",
    "NhwcFusedConv": "Conv",
    "DeformConv": "Conv",
    "FusedGemm": "Gemm",
    "FusedMatMul": "MatMul",
    "DynamicQuantizeLSTM": "LSTM",
    "MultiHeadAttention": "Attention",
    "GroupQueryAttention": "Attention",
    "QAttention": "Attention",
    "FastGelu": "Gelu",
    "BiasGelu": "Gelu",
    "QuickGelu": "Gelu",
    "SkipLayerNormalization": "LayerNormalization",
    "SimplifiedLayerNormalization": "RMSNormalization",
    "SkipSimplifiedLayerNormalization": "RMSNormalization",
    "NhwcMaxPool": "MaxPool",
    "LpPool": "AveragePool",
    "Selu": "Elu",
    "Celu": "Elu",
    "ThresholdedRelu": "LeakyRelu",
    "Sum": "Add",
    "BiasAdd": "Add",
    "ReduceMin": "ReduceMax",
    "ReduceProd": "ReduceSum",
    "ReduceL1": "ReduceSum",
    "ReduceSumSquare": "ReduceSum",
    "ReduceLogSumExp": "ReduceSum",
    "ArgMin": "ArgMax",
    "Upsample": "Resize",
    "GatherElements": "Gather",
    "GatherND": "Gather",
    "ScatterElements": "Scatter",
    "ScatterND": "Scatter",
    # quantised
    "ConvInteger": "QLinearConv",
    "MatMulInteger": "QLinearMatMul",
    "MatMulIntegerToFloat": "QLinearMatMul",
    "DynamicQuantizeMatMul": "QLinearMatMul",
    "MatMulNBits": "QLinearMatMul",
    "QGemm": "QLinearMatMul",
    **dict.fromkeys(
        (
            "QLinearAdd",
            "QLinearMul",
            "QLinearSigmoid",
            "QLinearLeakyRelu",
            "QLinearSoftmax",
            "QLinearAveragePool",
            "QLinearGlobalAveragePool",
            "QLinearConcat",
        ),
        "QLinearElementwise",
    ),
    **dict.fromkeys(
        ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "And", "Or", "Xor", "Not", "IsNaN", "IsInf"),
        "Compare",
    ),
}
_INDEX = {name: index for index, name in enumerate(VOCABULARY)}


def base_type(op_type: str) -> str:
    """The vocabulary's word for an ONNX or runtime-specific operator name, or the name itself if it has none."""
    return _SYNONYMS.get(op_type, op_type)


def op_type_index(op_type: str) -> int:
    """Position of ``op_type`` in :data:`VOCABULARY`; 0, the place of :data:`OTHER`, when it is not there."""
    return _INDEX.get(base_type(op_type), 0)
