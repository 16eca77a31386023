"""One ONNX node, while it is written down as calls of torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import onnx
import torch
from torch import Tensor, fx, nn
from torch.fx.node import map_arg

from costmodel.errors import MeasurementError

__all__ = ["ModuleWriter", "Operator"]


@dataclass(frozen=True)
class ModuleWriter:
    """A torch module under construction: straight-line code, and the weights that it reads.

    Every value is also computed on torch's meta device, which knows shapes only: code can depend on them, and
    operands that do not go together are found here.

    Attributes:
        graph: The code.
        weights: Holder of the weights.
    """

    graph: fx.Graph = field(default_factory=fx.Graph)
    weights: nn.Module = field(default_factory=nn.Module)

    def input(self, shape: Sequence[int], dtype: torch.dtype) -> fx.Node:
        """One more argument of the module."""
        node = self.graph.placeholder(f"input{len(self.graph.nodes)}")
        return _with_value(node, torch.empty(shape, dtype=dtype, device="meta"))

    def weight(self, tensor: Tensor) -> fx.Node:
        """A parameter if ``tensor`` is of floats, else a buffer."""
        name = f"weight{len(self.graph.nodes)}"
        if tensor.is_floating_point():
            self.weights.register_parameter(name, nn.Parameter(tensor, requires_grad=False))
        else:
            self.weights.register_buffer(name, tensor)
        return _with_value(self.graph.create_node("get_attr", name), tensor.to("meta"))

    def call(self, function: Callable[..., Tensor], *arguments: Any, **options: Any) -> fx.Node:
        """A call of ``function``, whose arguments may be values of this module or plain ones."""
        value = function(*map_arg(arguments, _value), **map_arg(options, _value))
        return _with_value(self.graph.call_function(function, arguments, options), value)

    def constant(self, node: fx.Node) -> Tensor | None:
        """The elements of ``node`` if it is a weight."""
        return cast(Tensor, getattr(self.weights, str(node.target))) if node.op == "get_attr" else None

    def finish(self, outputs: Sequence[fx.Node]) -> fx.GraphModule:
        """The module that returns ``outputs``, without what they do not depend on."""
        self.graph.output(outputs[0] if len(outputs) == 1 else tuple(outputs))
        self.graph.eliminate_dead_code()
        return fx.GraphModule(self.weights, self.graph)


class Operator:
    """A node of an ONNX graph, as the functions that translate it see it.

    Args:
        node: The node.
        inputs: Its operands; ``None`` for those that it leaves out.
        writer: Where it is written.
    """

    def __init__(self, node: onnx.NodeProto, inputs: Sequence[fx.Node | None], writer: ModuleWriter) -> None:
        self.inputs = inputs
        self.call = writer.call
        self.weight = writer.weight
        self._node = node
        self._constant = writer.constant
        self._unread = {attribute.name: attribute for attribute in node.attribute}

    def attribute(self, name: str, default: Any) -> Any:
        """The attribute ``name`` as a plain value, strings as text.  Each is read once: what is left was overlooked."""
        attribute = self._unread.pop(name, None)
        if attribute is None:
            return default
        value = onnx.helper.get_attribute_value(attribute)
        return value.decode() if isinstance(value, bytes) else value

    def expect(self, **attributes: object) -> None:
        """Refuse other values of attributes than these, which are also their defaults."""
        for name, expected in attributes.items():
            found = self.attribute(name, expected)
            if found != expected:
                raise self.refused(f"{name}={found}, where only {expected} can be had")

    def expect_all_read(self) -> None:
        """Refuse attributes that nobody asked for."""
        if self._unread:
            raise self.refused(f"the attribute {', '.join(self._unread)} is not known")

    def shape(self, index: int) -> tuple[int, ...]:
        """Sizes of an operand."""
        operand = self.inputs[index]
        if operand is None:
            raise self.refused(f"operand {index} is missing")
        return tuple(_value(operand).shape)

    def constant(self, index: int) -> Tensor | None:
        """Elements of an operand, which must be a weight; ``None`` when it is left out."""
        operand = self.inputs[index] if index < len(self.inputs) else None
        if operand is None:
            return None
        elements = self._constant(operand)
        if elements is None:
            raise self.refused(f"operand {index} is computed, where only a constant can be had")
        return elements

    def refused(self, reason: str) -> MeasurementError:
        """The error that says why this node cannot be had in torch."""
        return MeasurementError(
            f"operator {self._node.op_type} (node {self._node.name or self._node.output[0]!r}) is not translated to "
            f"torch: {reason}. Measure with onnxruntime instead: --runtime onnxruntime."
        )


def _value(node: fx.Node) -> Tensor:
    return cast(Tensor, node.meta["val"])  # where torch.export keeps it, too


def _with_value(node: fx.Node, value: Tensor) -> fx.Node:
    node.meta["val"] = value
    return node
