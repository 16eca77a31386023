"""Attention, in the fused forms torch has for it."""

from __future__ import annotations

from costmodel.graph.op_graph import AttributeValue
from costmodel.graph.torch.call import Call, Names
from costmodel.graph.torch.registry import lowers

__all__: list[str] = []


@lowers("scaled_dot_product_attention", "_scaled_dot_product_attention_math")
@lowers("_scaled_dot_product_flash_attention", "_scaled_dot_product_flash_attention_for_cpu")
@lowers("_scaled_dot_product_efficient_attention", "_scaled_dot_product_cudnn_attention")
@lowers("_scaled_dot_product_fused_attention_overrideable")
def attention(call: Call) -> Names:
    """``Attention`` of (batch, heads, length, width) queries, keys and values; a mask is added or masks out."""
    mask = call.tensor("attn_mask") or call.tensor("attn_bias")
    attributes: dict[str, AttributeValue] = {"is_causal": int(call.flag("is_causal"))}
    if call.has("scale"):
        attributes["scale"] = call.number("scale")
    if len(call.result_shape) == 3:  # one head, which ONNX then wants to be told
        attributes |= {"q_num_heads": 1, "kv_num_heads": 1}
    return call.sole_result("Attention", [*call.tensors("query", "key", "value"), mask], attributes)


@lowers("_native_multi_head_attention")
def native_multi_head_attention(call: Call) -> Names:
    """The fast path of ``nn.MultiheadAttention``: joint projection, ``Attention``, output projection."""
    batch, length, width = call.input_shape
    heads = call.integer("num_head")
    operands = call.tensors("query", "qkv_weight", "qkv_bias")
    joint = call.step("Gemm", operands, (batch, length, 3 * width), {"transB": 1})
    sizes = call.constant([width] * 3)
    parts = call.steps("Split", [joint, sizes], [(batch, length, width)] * 3, {"axis": 2})
    attributes: dict[str, AttributeValue] = {"q_num_heads": heads, "kv_num_heads": heads}
    mixed = call.step("Attention", [*parts, call.tensor("mask")], (batch, length, width), attributes)
    projected = call.step("Gemm", [mixed, *call.tensors("proj_weight", "proj_bias")], call.result_shape, {"transB": 1})
    return projected, ""
