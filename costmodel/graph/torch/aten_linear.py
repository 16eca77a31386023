"""Matrix products and convolutions."""

from __future__ import annotations

from torch import fx

from costmodel.graph.op_graph import AttributeValue
from costmodel.graph.torch.call import Call, Names
from costmodel.graph.torch.registry import lowers

__all__: list[str] = []


@lowers("linear")
def linear(call: Call) -> Names:
    """``Gemm`` with the weight as torch stores it, ``(out_features, in_features)``; the input may have any rank."""
    return call.result("Gemm", call.tensors("input", "weight", "bias"), {"transB": 1})


@lowers("addmm")
def addmm(call: Call) -> Names:
    """``alpha · mat1 @ mat2 + beta · self``."""
    bias, left, right = call.tensors("self", "mat1", "mat2")
    attributes: dict[str, AttributeValue] = {
        key: call.number(key) for key in ("alpha", "beta") if call.number(key, 1.0) != 1
    }
    stored = _stored_weight(call, "mat2")
    if stored:
        right, attributes["transB"] = stored, 1
    return call.result("Gemm", [left, right, bias], attributes)


@lowers("matmul", "mm", "bmm", "mv", "dot", "vdot", "inner", "linalg_matmul")
def matmul(call: Call) -> Names:
    """``MatMul``; the product of a matrix with a stored weight, as ``linear`` decomposes into, is a ``Gemm``."""
    left, right = (call.tensor(argument.name) for argument in call.schema.arguments[:2])
    stored = _stored_weight(call, "mat2") if call.name == "mm" else ""
    if stored:
        return call.result("Gemm", [left, stored], {"transB": 1})
    return call.result("MatMul", [left, right])


@lowers("baddbmm", "addmv", "addbmm")
def add_batched_product(call: Call) -> Names:
    """``beta · self + alpha · batch1 @ batch2``."""
    added, left, right = (call.tensor(argument.name) for argument in call.schema.arguments[:3])
    shape = (*call.shape(left)[:-1], *call.shape(right)[-1:]) if call.name != "addmv" else call.result_shape
    product = call.step("MatMul", [left, right], shape)
    if call.name == "addbmm":
        product = call.step("ReduceSum", [product], call.result_shape, {"axes": (0,), "keepdims": 0})
    if call.number("alpha", 1) != 1:
        product = call.step("Mul", [product, call.constant(call.number("alpha"), call.result_dtype)], shape)
    if call.number("beta", 1) == 0:
        return product
    if call.number("beta", 1) != 1:
        added = call.step("Mul", [added, call.constant(call.number("beta"), call.result_dtype)], call.shape(added))
    return call.result("Add", [added, product])


@lowers("outer", "ger")
def outer(call: Call) -> Names:
    """Product of a column and a row."""
    column, row = (call.tensor(argument.name) for argument in call.schema.arguments[:2])
    return call.result("Mul", [call.unsqueeze(column, 1), row])


@lowers("einsum")
def einsum(call: Call) -> Names:
    """``Einsum`` with the equation as written."""
    return call.result("Einsum", call.tensor_list("tensors"), {"equation": call.text("equation").replace(" ", "")})


@lowers("conv1d", "conv2d", "conv3d")
def convolution(call: Call) -> Names:
    """``Conv``; string paddings become the numbers they stand for."""
    return _conv(call, "Conv", {})


@lowers("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def transposed_convolution(call: Call) -> Names:
    """``ConvTranspose`` with the weight as torch stores it, ``(in, out / groups, *kernel)``."""
    return _conv(call, "ConvTranspose", _output_padding(call))


@lowers("convolution", "_convolution", "convolution_overrideable")
def any_convolution(call: Call) -> Names:
    """The form that decompositions leave: one operator for all ranks and both directions."""
    if call.flag("transposed"):
        return _conv(call, "ConvTranspose", _output_padding(call))
    return _conv(call, "Conv", {})


def _conv(call: Call, op_type: str, extra: dict[str, AttributeValue]) -> Names:
    data, weight, bias = call.tensors("input", "weight", "bias")
    kernel = call.shape(weight)[2:]
    rank = len(kernel)
    stride, dilation = call.integers("stride", rank), call.integers("dilation", rank)
    attributes: dict[str, AttributeValue] = {
        "kernel_shape": kernel,
        "strides": stride,
        "pads": _pads(call, kernel, dilation),
        "dilations": dilation,
        "group": call.integer("groups", 1),
        **extra,
    }
    if len(call.shape(data)) > rank + 1:
        return call.result(op_type, [data, weight, bias], attributes)
    batched = call.unsqueeze(data, 0)
    result = call.step(op_type, [batched, weight, bias], (1, *call.result_shape), attributes)
    return call.result("Squeeze", [result, call.constant([0])])


def _pads(call: Call, kernel: tuple[int, ...], dilation: tuple[int, ...]) -> tuple[int, ...]:
    """Padding of every side, all the starts before all the ends."""
    padding = call.arguments.get("padding")
    if padding == "valid":
        return (0,) * (2 * len(kernel))
    if padding == "same":
        totals = [step * (size - 1) for step, size in zip(dilation, kernel, strict=True)]
        return tuple([total // 2 for total in totals] + [total - total // 2 for total in totals])
    return call.integers("padding", len(kernel)) * 2


def _output_padding(call: Call) -> dict[str, AttributeValue]:
    rank = len(call.shape(call.tensor("weight"))) - 2
    return {"output_padding": call.integers("output_padding", rank)}


def _stored_weight(call: Call, argument: str) -> str:
    """The weight that the matrix ``argument`` is a plain transposition of; ``""`` when it is something else."""
    node = call.arguments[argument]
    if not isinstance(node, fx.Node) or not str(node.target).startswith(_TRANSPOSITIONS):
        return ""
    source = Call(node, call.builder, call.names).first
    return source if call.builder.value(source).is_weight and len(call.shape(source)) == 2 else ""


_TRANSPOSITIONS = ("aten.t.", "aten.permute.", "aten.transpose.")
