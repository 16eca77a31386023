"""Activation functions and softmax."""

from __future__ import annotations

from costmodel.graph import lowering
from costmodel.graph.op_graph import AttributeValue
from costmodel.integrations.tvm.relax_reader.call import Call, Names
from costmodel.integrations.tvm.relax_reader.registry import lowers

__all__: list[str] = []

_PLAIN = {
    "nn.relu": "Relu",
    "nn.selu": "Selu",
    "nn.silu": "Swish",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
}


@lowers(*_PLAIN)
def plain(call: Call) -> Names:
    """Activations without parameters."""
    return call.result(_PLAIN[call.name], [call.first])


@lowers("nn.gelu", "nn.gelu_tanh")
def gelu(call: Call) -> Names:
    """``Gelu``, exact or with the tanh approximation."""
    return call.result("Gelu", [call.first], {"approximate": "tanh" if call.name == "nn.gelu_tanh" else "none"})


@lowers("nn.leakyrelu")
def leaky_relu(call: Call) -> Names:
    """``LeakyRelu``."""
    return call.result("LeakyRelu", [call.first], {"alpha": call.number("alpha", 0.01)})


@lowers("nn.prelu")
def prelu(call: Call) -> Names:
    """``PRelu`` with one slope a channel, which ONNX wants to broadcast from the right."""
    slope, axis = call.operand(1), call.axis("axis")
    spread = [1] * (len(call.input_shape) - axis)
    spread[0] = call.shape(slope)[0]
    return call.result("PRelu", [call.first, call.reshape(slope, spread)])


@lowers("nn.softplus")
def softplus(call: Call) -> Names:
    """``Softplus``, scaled."""
    return lowering.softplus(call, call.first, call.number("beta", 1.0))


@lowers("nn.softmax", "nn.log_softmax")
def softmax(call: Call) -> Names:
    """``Softmax`` or ``LogSoftmax`` along one axis."""
    attributes: dict[str, AttributeValue] = {"axis": call.axis("axis")}
    return call.result("Softmax" if call.name == "nn.softmax" else "LogSoftmax", [call.first], attributes)
