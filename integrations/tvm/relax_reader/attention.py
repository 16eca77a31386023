"""Attention, in the fused form that Relax has for it."""

from __future__ import annotations

from costmodel.graph.op_graph import AttributeValue
from costmodel.integrations.tvm.relax_reader.call import Call, Names
from costmodel.integrations.tvm.relax_reader.registry import lowers

__all__: list[str] = []


@lowers("nn.attention", "nn.attention_bias")
def attention(call: Call) -> Names:
    """``Attention`` with the heads side by side in the last dimension.

    Relax has them as a dimension of their own, (batch, length, heads, width), where they lie in memory just so.
    """
    heads, kv_heads = (call.shape(value)[2] for value in call.operands(0, 1))
    operands = [_side_by_side(call, value) for value in call.operands(0, 1, 2)]
    if len(call.arguments) > 3:
        operands.append(call.operand(3))
    attributes: dict[str, AttributeValue] = {
        "q_num_heads": heads,
        "kv_num_heads": kv_heads,
        "is_causal": int(call.has("causal_mask")),
    }
    if call.has("scale"):
        attributes["scale"] = call.number("scale")
    batch, length, _, width = call.result_shape
    made = call.step("Attention", operands, (batch, length, heads * width), attributes)
    return call.reshape(made, call.result_shape)


def _side_by_side(call: Call, value: str) -> str:
    batch, length, heads, width = call.shape(value)
    return call.reshape(value, (batch, length, heads * width))
