"""Shapes of the operators in ``com.microsoft``, which ONNX itself knows nothing of.

Source: the operator descriptions in onnxruntime's ``docs/ContribOperators.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx

from costmodel.graph.onnx.attributes import plain_attributes
from costmodel.graph.onnx.facts import Facts
from costmodel.graph.onnx.standard import infer_standard
from costmodel.graph.onnx.tensors import concrete_shape, tensor_type
from costmodel.graph.op_graph import AttributeValue

__all__ = ["DOMAIN", "infer_contrib"]

DOMAIN = "com.microsoft"

_Shape = tuple[int, ...]
_Outputs = Sequence[onnx.TypeProto | None]


def infer_contrib(node: onnx.NodeProto, facts: Facts) -> dict[str, onnx.TypeProto]:
    """Types of those outputs of a ``com.microsoft`` node that its inputs decide; empty for operators unknown here."""
    rule = _RULES.get(node.op_type, _as_in_onnx)
    try:
        outputs = rule(_Call(node, facts, plain_attributes(node)))
    except (_UnknownShapeError, IndexError, TypeError, ValueError, ZeroDivisionError):  # malformed, or fed by the like
        return {}
    return {name: found for name, found in zip(node.output, outputs, strict=False) if name and found is not None}


class _UnknownShapeError(Exception):
    """A rule needs a shape that is not known."""


@dataclass(frozen=True, slots=True)
class _Call:
    """One node with what is known of its inputs."""

    node: onnx.NodeProto
    facts: Facts
    attributes: dict[str, AttributeValue]

    def has(self, index: int) -> bool:
        return len(self.node.input) > index and bool(self.node.input[index])

    def shape(self, index: int) -> _Shape:
        shape = self.facts.shape(self.node.input[index])
        if shape is None:
            raise _UnknownShapeError
        return shape

    def elem_type(self, index: int) -> int:
        return self.facts.elem_type(self.node.input[index])

    def like(self, index: int, shape: Sequence[int]) -> onnx.TypeProto:
        return tensor_type(self.elem_type(index), shape)

    def integer(self, name: str, default: int = 0) -> int:
        value = self.attributes.get(name, default)
        return value if isinstance(value, int) else default

    def as_standard(self, op_type: str, inputs: Sequence[str]) -> _Outputs:
        """The types ONNX infers for its own ``op_type`` with the attributes of this node that it shares.

        The newest version is asked: the operator may be older here than in the operator set of the model.
        """
        shared = [attribute for attribute in self.node.attribute if attribute.name in _attributes_of(op_type)]
        stand_in = onnx.NodeProto(op_type=op_type, input=inputs, output=self.node.output[:1], attribute=shared)
        newest = replace(self.facts, opsets={"": onnx.defs.onnx_opset_version()})
        found = infer_standard(stand_in, newest)
        return [found.get(name) for name in stand_in.output]


def _attributes_of(op_type: str) -> set[str]:
    return set(onnx.defs.get_schema(op_type).attributes) if onnx.defs.has(op_type) else set()


def _as_in_onnx(call: _Call) -> _Outputs:
    """Operators that onnxruntime offers before ONNX took them up, under the name they have there."""
    return call.as_standard(call.node.op_type, call.node.input)


def _fused(op_type: str) -> Callable[[_Call], _Outputs]:
    """``op_type`` with an activation appended, which leaves the shape alone."""
    return lambda call: call.as_standard(op_type, call.node.input[:3])


def _same(call: _Call) -> _Outputs:
    return [call.like(0, call.shape(0))]


def _same_with_sum(call: _Call) -> _Outputs:
    """A normalisation whose fourth output is the sum that it normalises."""
    same = call.like(0, call.shape(0))
    return [same, None, None, same]


def _same_twice(call: _Call) -> _Outputs:
    return [call.like(0, call.shape(0))] * 2


def _quantized_binary(call: _Call) -> _Outputs:
    """Inputs are (A, its scale, its zero point, B, ...)."""
    return [call.like(0, np.broadcast_shapes(call.shape(0), call.shape(3)))]


def _quantized_concat(call: _Call) -> _Outputs:
    """Inputs are the output's scale and zero point, then three for each tensor: itself, scale, zero point."""
    shapes = [call.shape(index) for index in range(2, len(call.node.input), 3)]
    joined = list(shapes[0])
    axis = call.integer("axis")
    joined[axis] = sum(shape[axis] for shape in shapes)
    return [call.like(2, joined)]


def _global_pool(call: _Call) -> _Outputs:
    shape = call.shape(0)
    spatial = range(1, len(shape) - 1) if call.integer("channels_last") else range(2, len(shape))
    return [call.like(0, [1 if axis in spatial else size for axis, size in enumerate(shape)])]


def _channels_last_pool(call: _Call) -> _Outputs:
    """A pool over (N, spatial ..., C), inferred through ONNX's over (N, C, spatial ...)."""
    batch, *spatial, channels = call.shape(0)
    name = call.node.input[0]
    channels_first = Facts(call.facts.opsets)
    channels_first.set_type(name, call.like(0, (batch, channels, *spatial)))
    pooled = concrete_shape(_Call(call.node, channels_first, call.attributes).as_standard("MaxPool", [name])[0])
    if pooled is None:
        raise _UnknownShapeError
    return [call.like(0, (batch, *pooled[2:], channels))]


def _matmul(left: _Shape, right: _Shape) -> _Shape:
    return (*np.broadcast_shapes(left[:-2], right[:-2]), left[-2], right[-1])


def _swap_last(shape: _Shape) -> _Shape:
    return (*shape[:-2], shape[-1], shape[-2])


def _rows_from_front(shape: _Shape) -> _Shape:
    """What ``transBatch`` asks for: the first axis holds the rows, those up to the last one the batch."""
    return (*shape[1:-1], shape[0], shape[-1])


def _fused_matmul(call: _Call) -> _Outputs:
    left, right = call.shape(0), call.shape(1)
    left = _rows_from_front(left) if call.integer("transBatchA") else left
    right = _rows_from_front(right) if call.integer("transBatchB") else right
    left = _swap_last(left) if call.integer("transA") else left
    right = _swap_last(right) if call.integer("transB") else right
    return [call.like(0, _matmul(left, right))]


def _matmul_to_float(call: _Call) -> _Outputs:
    return [tensor_type(onnx.TensorProto.FLOAT, _matmul(call.shape(0), call.shape(1)))]


def _quantized_gemm(call: _Call) -> _Outputs:
    """Inputs are (A, scale, zero point, B, scale, zero point, C, the output's scale, its zero point)."""
    left = _swap_last(call.shape(0)) if call.integer("transA") else call.shape(0)
    right = _swap_last(call.shape(3)) if call.integer("transB") else call.shape(3)
    elem_type = call.elem_type(0) if call.has(7) else onnx.TensorProto.FLOAT
    return [tensor_type(elem_type, (left[-2], right[-1]))]


def _matmul_nbits(call: _Call) -> _Outputs:
    """B is packed; the attributes K and N say what it was."""
    return [call.like(0, (*call.shape(0)[:-1], call.integer("N")))]


def _quantized_lstm(call: _Call) -> _Outputs:
    """Inputs are (X, W, R, ...), W and R of (directions, rows, gates) as onnxruntime packs them."""
    steps, batch, _ = call.shape(0)
    directions, hidden, _ = call.shape(2)
    last = call.like(0, (directions, batch, hidden))
    return [call.like(0, (steps, directions, batch, hidden)), last, last]


def _attention(call: _Call) -> _Outputs:
    """Inputs are (input, weights of q, k and v side by side, bias, mask, past, ...)."""
    batch, sequence, _ = call.shape(0)
    sizes = call.attributes.get("qkv_hidden_sizes")
    hidden = sizes[2] if isinstance(sizes, tuple) and len(sizes) == 3 else call.shape(1)[1] // 3
    heads = call.integer("num_heads", 1)
    past = call.shape(4)[3] if call.has(4) else 0
    present = call.like(0, (2, batch, heads, past + sequence, int(hidden) // heads))
    return [call.like(0, (batch, sequence, int(hidden))), present]


def _quantized_attention(call: _Call) -> _Outputs:
    batch, sequence, _ = call.shape(0)
    return [tensor_type(onnx.TensorProto.FLOAT, (batch, sequence, call.shape(1)[1] // 3))]


def _multi_head_attention(call: _Call) -> _Outputs:
    """Inputs are (query, key, value, ...); keys and values may be packed with the query, or be split in heads."""
    query = call.shape(0)
    batch, sequence = query[:2]
    if len(query) == 5:  # query, key and value packed: (batch, sequence, heads, 3, size)
        return [call.like(0, (batch, sequence, query[2] * query[4]))]
    if not call.has(2):  # key and value packed: (batch, sequence, heads, 2, size)
        return [call.like(0, (batch, sequence, query[2]))]
    value = call.shape(2)
    hidden = value[2] if len(value) == 3 else value[1] * value[3]
    return [call.like(0, (batch, sequence, hidden))]


def _group_query_attention(call: _Call) -> _Outputs:
    """Inputs are (query, key, value, past key, past value, ...); key and value may be packed with the query."""
    batch, sequence, hidden = call.shape(0)
    heads, shared_heads = call.integer("num_heads", 1), call.integer("kv_num_heads", 1)
    if not call.has(1):
        hidden = hidden * heads // (heads + 2 * shared_heads)
    past = call.shape(3)[2] if call.has(3) else 0
    present = call.like(0, (batch, shared_heads, past + sequence, hidden // heads))
    return [call.like(0, (batch, sequence, hidden)), present, present]


def _embed_layer_norm(call: _Call) -> _Outputs:
    """Inputs are (token ids, segment ids, word table, ...)."""
    batch, sequence = call.shape(0)
    embedded = call.like(2, (batch, sequence, call.shape(2)[1]))
    return [embedded, tensor_type(onnx.TensorProto.INT32, (batch,)), embedded]


def _half_of_last(call: _Call) -> _Outputs:
    *leading, last = call.shape(0)
    return [call.like(0, (*leading, last // 2))]


_RULES: dict[str, Callable[[_Call], _Outputs]] = {
    # one tensor in, the same shape out
    **dict.fromkeys(
        (
            *("BiasAdd", "BiasDropout", "BiasGelu", "BiasSoftmax", "FastGelu", "Gelu", "QuickGelu", "GroupNorm"),
            *(
                "QLinearLeakyRelu",
                "QLinearSigmoid",
                "QLinearSoftmax",
                "RotaryEmbedding",
                "SimplifiedLayerNormalization",
            ),
        ),
        _same,
    ),
    "SkipGroupNorm": _same_twice,
    "SkipLayerNormalization": _same_with_sum,
    "SkipSimplifiedLayerNormalization": _same_with_sum,
    "BiasSplitGelu": _half_of_last,
    # two tensors
    "QLinearAdd": _quantized_binary,
    "QLinearMul": _quantized_binary,
    "QLinearConcat": _quantized_concat,
    # convolutions and pools
    "FusedConv": _fused("Conv"),
    "QLinearAveragePool": lambda call: call.as_standard("AveragePool", call.node.input[:1]),
    "QLinearGlobalAveragePool": _global_pool,
    "NhwcMaxPool": _channels_last_pool,
    # matrix products
    "FusedGemm": _fused("Gemm"),
    "FusedMatMul": _fused_matmul,
    "TransposeMatMul": _fused_matmul,
    "DynamicQuantizeMatMul": _matmul_to_float,
    "MatMulIntegerToFloat": _matmul_to_float,
    "MatMulNBits": _matmul_nbits,
    "MatMulBnb4": _matmul_nbits,
    "QGemm": _quantized_gemm,
    # recurrence
    "DynamicQuantizeLSTM": _quantized_lstm,
    # transformers
    "Attention": _attention,
    "QAttention": _quantized_attention,
    "MultiHeadAttention": _multi_head_attention,
    "GroupQueryAttention": _group_query_attention,
    "EmbedLayerNormalization": _embed_layer_norm,
}
