"""Activation functions and softmax."""

from __future__ import annotations

from math import prod

from costmodel.graph import lowering
from costmodel.graph.op_graph import AttributeValue
from costmodel.graph.torch.call import Call, Names
from costmodel.graph.torch.registry import lowers

__all__: list[str] = []

_PLAIN = {
    "hardswish": "HardSwish",
    "mish": "Mish",
    "relu": "Relu",
    "sigmoid": "Sigmoid",
    "silu": "Swish",
    "tanh": "Tanh",
    "special_expit": "Sigmoid",
}


@lowers(*_PLAIN)
def plain(call: Call) -> Names:
    """Activations without parameters."""
    return call.result(_PLAIN[call.name], [call.first])


@lowers("gelu")
def gelu(call: Call) -> Names:
    """``Gelu``, exact or with the tanh approximation."""
    return call.result("Gelu", [call.first], {"approximate": call.text("approximate", "none")})


@lowers("hardsigmoid")
def hard_sigmoid(call: Call) -> Names:
    """``clip(x / 6 + 1 / 2, 0, 1)``."""
    return call.result("HardSigmoid", [call.first], {"alpha": 1 / 6, "beta": 0.5})


@lowers("hardtanh", "relu6")
def hard_tanh(call: Call) -> Names:
    """``Clip``; ``relu6`` is the case of 0 and 6."""
    low, high = (call.number("min_val"), call.number("max_val")) if call.has("min_val") else (0.0, 6.0)
    dtype = call.result_dtype
    return call.result("Clip", [call.first, call.constant(low, dtype), call.constant(high, dtype)])


@lowers("leaky_relu", "rrelu")
def leaky_relu(call: Call) -> Names:
    """``LeakyRelu``; the random slope of ``rrelu`` is its mean at inference."""
    mean = (call.number("lower") + call.number("upper")) / 2
    return call.result("LeakyRelu", [call.first], {"alpha": call.number("negative_slope", mean)})


@lowers("elu")
def elu(call: Call) -> Names:
    """``Elu``."""
    return call.result("Elu", [call.first], {"alpha": call.number("alpha", 1.0)})


@lowers("celu")
def celu(call: Call) -> Names:
    """``Celu``."""
    return call.result("Celu", [call.first], {"alpha": call.number("alpha", 1.0)})


@lowers("selu")
def selu(call: Call) -> Names:
    """``Selu`` with its two constants, which are ONNX's defaults."""
    return call.result("Selu", [call.first])


@lowers("softplus")
def softplus(call: Call) -> Names:
    """``Softplus``, scaled."""
    return lowering.softplus(call, call.first, call.number("beta", 1.0))


@lowers("prelu", "_prelu_kernel")
def prelu(call: Call) -> Names:
    """``PRelu`` with the slope as torch stores it."""
    return call.result("PRelu", call.tensors("self", "weight"))


@lowers("threshold")
def threshold(call: Call) -> Names:
    """``Where(self > threshold, self, value)``."""
    bound, value = call.tensors("threshold", "value")
    above = call.step("Greater", [call.first, bound], call.result_shape)
    return call.result("Where", [above, call.first, value])


@lowers("hardshrink", "softshrink")
def shrink(call: Call) -> Names:
    """``Shrink``; the soft one moves what it keeps towards zero."""
    bound = call.number("lambd", 0.5)
    attributes: dict[str, AttributeValue] = {"lambd": bound, "bias": bound if call.name == "softshrink" else 0.0}
    return call.result("Shrink", [call.first], attributes)


@lowers("log_sigmoid")
def log_sigmoid(call: Call) -> Names:
    """``log(sigmoid(x))``."""
    return call.result("Log", [call.step("Sigmoid", [call.first], call.result_shape)])


@lowers("glu")
def glu(call: Call) -> Names:
    """``a · sigmoid(b)`` with the two halves ``a`` and ``b`` of the input."""
    axis = call.axis("dim")
    shape = call.result_shape
    value, gate = call.steps("Split", [call.first, call.constant([shape[axis]] * 2)], [shape, shape], {"axis": axis})
    return call.result("Mul", [value, call.step("Sigmoid", [gate], shape)])


@lowers("softmax", "_softmax", "_safe_softmax", "special_softmax")
def softmax(call: Call) -> Names:
    """``Softmax`` along one axis; a change of element type comes first, as in torch."""
    return call.result("Softmax", [call.cast(call.first, call.result_dtype)], {"axis": call.axis("dim")})


@lowers("log_softmax", "_log_softmax", "special_log_softmax")
def log_softmax(call: Call) -> Names:
    """``LogSoftmax`` along one axis."""
    return call.result("LogSoftmax", [call.cast(call.first, call.result_dtype)], {"axis": call.axis("dim")})


@lowers("channel_shuffle", "native_channel_shuffle")
def channel_shuffle(call: Call) -> Names:
    """Swap the group and the within-group part of the channels."""
    batch, channels, *image = call.input_shape
    groups = call.integer("groups")
    split = call.reshape(call.first, (batch, groups, channels // groups, prod(image)))
    swapped = call.transpose(split, (0, 2, 1, 3))
    return call.reshape(swapped, call.result_shape)
