"""Matrix products and convolutions."""

from __future__ import annotations

from costmodel.graph.op_graph import AttributeValue
from costmodel.integrations.tvm.relax_reader.call import Call, Names
from costmodel.integrations.tvm.relax_reader.generic import generic
from costmodel.integrations.tvm.relax_reader.layouts import order
from costmodel.integrations.tvm.relax_reader.registry import lowers

__all__: list[str] = []

_SPACE = {1: "W", 2: "HW", 3: "DHW"}


@lowers("matmul")
def matmul(call: Call) -> Names:
    """``MatMul``; that of a stored matrix, transposed or not, becomes a ``Gemm`` when the graph is simplified."""
    return call.result("MatMul", call.operands(0, 1))


@lowers("outer")
def outer(call: Call) -> Names:
    """Product of a column and a row."""
    column, row = call.operands(0, 1)
    return call.result("Mul", [call.unsqueeze(column, 1), row])


@lowers("einsum")
def einsum(call: Call) -> Names:
    """``Einsum`` with the equation as written."""
    return call.result("Einsum", call.operand_list(0), {"equation": call.text("subscripts").replace(" ", "")})


@lowers("nn.conv1d", "nn.conv2d", "nn.conv3d")
def convolution(call: Call) -> Names:
    """``Conv``; another layout than channels first is transposed to it and back."""
    return _convolution(call, "Conv", "OI", {})


@lowers("nn.conv1d_transpose", "nn.conv2d_transpose", "nn.conv3d_transpose")
def transposed_convolution(call: Call) -> Names:
    """``ConvTranspose``, likewise."""
    return _convolution(call, "ConvTranspose", "IO", {"output_padding": call.integers("output_padding")})


def _convolution(call: Call, op_type: str, channels: str, extra: dict[str, AttributeValue]) -> Names:
    space = _SPACE[len(call.integers("strides"))]
    data_layout, weight_layout = call.text("data_layout"), call.text("kernel_layout")
    out_layout = call.text("out_layout", data_layout)
    if sorted(data_layout + out_layout) != sorted(2 * f"NC{space}") or sorted(weight_layout) != sorted(
        channels + space
    ):
        return generic(call)  # channels in blocks
    data, weight = call.operands(0, 1)
    data = call.transpose(data, order(data_layout, f"NC{space}"))
    weight = call.transpose(weight, order(weight_layout, channels + space))
    attributes: dict[str, AttributeValue] = {
        "kernel_shape": call.shape(weight)[2:],
        "strides": call.integers("strides"),
        "pads": call.integers("padding"),
        "dilations": call.integers("dilation"),
        "group": call.integer("groups", 1),
        **extra,
    }
    back = order(f"NC{space}", out_layout)
    if back == tuple(range(len(back))):
        return call.result(op_type, [data, weight], attributes)
    shape = [call.result_shape[out_layout.index(dimension)] for dimension in f"NC{space}"]
    made = call.step(op_type, [data, weight], shape, attributes)
    return call.result("Transpose", [made], {"perm": back})
