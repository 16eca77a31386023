"""Normalisations, each as the fused ONNX operator."""

from __future__ import annotations

from costmodel.graph.op_graph import AttributeValue
from costmodel.integrations.tvm.relax_reader.call import Call, Names
from costmodel.integrations.tvm.relax_reader.generic import generic
from costmodel.integrations.tvm.relax_reader.registry import lowers

__all__: list[str] = []


@lowers("nn.layer_norm", "nn.rms_norm")
def trailing_norm(call: Call) -> Names:
    """``LayerNormalization`` or ``RMSNormalization`` over the last dimensions; over others ONNX has none."""
    rank, axes = len(call.input_shape), call.axes("axes")
    if axes != tuple(range(rank - len(axes), rank)):
        return generic(call)
    op_type = "LayerNormalization" if call.name == "nn.layer_norm" else "RMSNormalization"
    return call.result(op_type, call.operands(), {"axis": -len(axes), "epsilon": call.number("epsilon")})


@lowers("nn.group_norm", "nn.instance_norm")
def image_norm(call: Call) -> Names:
    """``GroupNormalization`` or ``InstanceNormalization`` of images with their channels first."""
    rank, axes = len(call.input_shape), call.axes("axes")
    if call.axis("channel_axis") != 1 or axes != tuple(range(2, rank)):
        return generic(call)
    attributes: dict[str, AttributeValue] = {"epsilon": call.number("epsilon")}
    if call.name == "nn.instance_norm":
        return call.result("InstanceNormalization", call.operands(), attributes)
    return call.result("GroupNormalization", call.operands(), {"num_groups": call.integer("num_groups"), **attributes})


@lowers("nn.batch_norm")
def batch_norm(call: Call) -> Names:
    """``BatchNormalization`` with stored statistics, as at inference; the statistics it returns are those it got."""
    rank, axis = len(call.input_shape), call.axis("axis")
    data, scale, bias, mean, variance = call.operands()
    first = [0, axis, *(dim for dim in range(1, rank) if dim != axis)]
    moved = call.transpose(data, first)
    attributes: dict[str, AttributeValue] = {"epsilon": call.number("epsilon")}
    made = call.step("BatchNormalization", [moved, scale, bias, mean, variance], call.shape(moved), attributes)
    return call.transpose(made, sorted(range(rank), key=first.__getitem__)), mean, variance
