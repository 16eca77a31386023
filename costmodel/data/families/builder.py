"""Builds ONNX networks layer by layer, as an exporter writes them for inference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod, sqrt

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from costmodel.data.families.activation import Activation
from costmodel.data.families.parameters import Parameter
from costmodel.errors import GraphError

__all__ = ["RESIDUAL_GAIN", "NetworkBuilder", "Tensor"]

OPSET = 17
IR_VERSION = 8

RESIDUAL_GAIN = 0.3
"""Gain of the last convolution of a residual branch: keeps sums over dozens of blocks of normal magnitude."""

_HE_GAIN = sqrt(2.0)
_LINEAR_GAIN = 1.0
# Biases this large keep activations far from denormal numbers even where gates shrink the signal layer after layer.
_BIAS_STD = 0.1


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor of the network under construction: its name and its concrete shape."""

    name: str
    shape: tuple[int, ...]

    @property
    def channels(self) -> int:
        """Size of the second dimension."""
        return self.shape[1]


class NetworkBuilder:
    """Adds layers to a network, tracks shapes and cost, and writes the network as an ONNX model.

    Every method that adds a layer takes and returns :class:`Tensor` s in ``NCHW``
    order.  Nodes are called by their scope, their kind and their number in that
    scope, e.g. ``stage1.block0.conv2``.  Batch normalisation that follows a
    convolution counts as folded into it, as exporters do for inference; that is
    why every convolution has a bias.

    Args:
        name: Name of the graph.
        batch: Leading dimension of the input.

    Attributes:
        macs: Multiply-accumulate operations of the convolutions and matrix products added so far, for the whole batch.
    """

    def __init__(self, name: str, *, batch: int = 1) -> None:
        self.name = name
        self.batch = batch
        self.macs = 0
        self._inputs: list[Tensor] = []
        self._nodes: list[NodeProto] = []
        self._parameters: list[Parameter] = []
        self._constants: dict[str, TensorProto] = {}
        self._scopes: list[str] = []
        self._counts: Counter[str] = Counter()

    @property
    def parameter_count(self) -> int:
        """Number of weights and biases added so far."""
        return sum(parameter.size for parameter in self._parameters)

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Put the layers added inside under ``name``; scopes nest."""
        self._scopes.append(name)
        try:
            yield
        finally:
            self._scopes.pop()

    def image(self, size: int, *, channels: int = 3) -> Tensor:
        """The network's input: ``batch`` square images of ``size`` pixels a side."""
        image = Tensor("input", (self.batch, channels, size, size))
        self._inputs.append(image)
        return image

    def conv(
        self,
        x: Tensor,
        channels: int,
        kernel: int | tuple[int, int],
        *,
        stride: int = 1,
        groups: int = 1,
        activation: Activation | None = None,
        gain: float | None = None,
    ) -> Tensor:
        """Convolution with bias, "same" padding for odd kernels, and an activation behind it.

        Args:
            x: Input.
            channels: Output channels.
            kernel: One size, or height and width.
            stride: In both directions.
            groups: Must divide the channels on both sides; equal to them for a depthwise convolution.
            activation: Function behind the convolution.
            gain: Standard deviation of the weights times the square root of the fan-in; by default
                He's, √2, in front of an activation and 1 otherwise.

        Raises:
            GraphError: ``groups`` does not divide the channels, or the output would be empty.
        """
        if x.channels % groups or channels % groups:
            raise GraphError(
                f"network {self.name!r}: {groups} groups divide neither or only one of "
                f"{x.channels} input and {channels} output channels; choose channels that are multiples of the groups."
            )
        sizes = kernel if isinstance(kernel, tuple) else (kernel, kernel)
        padding = (sizes[0] // 2, sizes[1] // 2)
        shape = (x.shape[0], channels, *self._window(x, sizes, stride, padding))
        if gain is None:
            gain = _LINEAR_GAIN if activation is None else _HE_GAIN
        name = self._unique("conv")
        fan_in = x.channels // groups * prod(sizes)
        weight = self._parameter(f"{name}.weight", (channels, x.channels // groups, *sizes), gain / sqrt(fan_in))
        bias = self._parameter(f"{name}.bias", (channels,), _BIAS_STD)
        self.macs += prod(shape) * fan_in
        y = self._node(
            "Conv",
            name,
            [x.name, weight, bias],
            shape,
            kernel_shape=sizes,
            strides=(stride, stride),
            pads=padding * 2,
            group=groups,
        )
        return y if activation is None else self.activation(y, activation)

    def gemm(self, x: Tensor, features: int, *, activation: Activation | None = None) -> Tensor:
        """Fully connected layer on a ``(batch, features)`` tensor."""
        name = self._unique("fc")
        fan_in = x.channels
        gain = _LINEAR_GAIN if activation is None else _HE_GAIN
        weight = self._parameter(f"{name}.weight", (features, fan_in), gain / sqrt(fan_in))
        bias = self._parameter(f"{name}.bias", (features,), _BIAS_STD)
        self.macs += x.shape[0] * features * fan_in
        y = self._node("Gemm", name, [x.name, weight, bias], (x.shape[0], features), transB=1)
        return y if activation is None else self.activation(y, activation)

    def batch_norm(self, x: Tensor) -> Tensor:
        """Batch normalisation that follows no convolution and so stays a node of its own."""
        name = self._unique("norm")
        moments = {"scale": 1.0, "bias": 0.0, "mean": 0.0, "var": 1.0}
        operands = [self._parameter(f"{name}.{key}", (x.channels,), 0.05, mean) for key, mean in moments.items()]
        return self._node("BatchNormalization", name, [x.name, *operands], x.shape)

    def activation(self, x: Tensor, kind: Activation) -> Tensor:
        """Apply ``kind`` to every element."""
        name = self._unique("act")
        match kind:
            case Activation.RELU:
                return self._node("Relu", name, [x.name], x.shape)
            case Activation.RELU6:
                low, high = self._scalar("zero", 0.0), self._scalar("six", 6.0)
                return self._node("Clip", name, [x.name, low, high], x.shape)
            case Activation.LEAKY_RELU:
                return self._node("LeakyRelu", name, [x.name], x.shape, alpha=0.1)
            case Activation.SWISH:
                gate = self._node("Sigmoid", f"{name}.sigmoid", [x.name], x.shape)
                return self._node("Mul", f"{name}.mul", [x.name, gate.name], x.shape)
            case Activation.HARD_SWISH:
                return self._node("HardSwish", name, [x.name], x.shape)
            case Activation.SIGMOID:
                return self._node("Sigmoid", name, [x.name], x.shape)
            case Activation.HARD_SIGMOID:
                return self._node("HardSigmoid", name, [x.name], x.shape, alpha=1 / 6, beta=0.5)

    def max_pool(self, x: Tensor, kernel: int, stride: int, *, padding: int = 0) -> Tensor:
        """Largest element of every window."""
        shape = (*x.shape[:2], *self._window(x, (kernel, kernel), stride, (padding, padding)))
        return self._node(
            "MaxPool", self._unique("pool"), [x.name], shape, **_window_attributes(kernel, stride, padding)
        )

    def avg_pool(self, x: Tensor, kernel: int, stride: int, *, padding: int = 0) -> Tensor:
        """Mean of every window; padding does not count."""
        shape = (*x.shape[:2], *self._window(x, (kernel, kernel), stride, (padding, padding)))
        attributes = _window_attributes(kernel, stride, padding)
        return self._node("AveragePool", self._unique("pool"), [x.name], shape, **attributes)

    def global_avg_pool(self, x: Tensor) -> Tensor:
        """Mean of every channel, as a 1x1 image."""
        return self._node("GlobalAveragePool", self._unique("pool"), [x.name], (*x.shape[:2], 1, 1))

    def local_response_norm(self, x: Tensor, size: int = 5) -> Tensor:
        """AlexNet's normalisation over ``size`` neighbouring channels."""
        return self._node("LRN", self._unique("lrn"), [x.name], x.shape, size=size)

    def flatten(self, x: Tensor) -> Tensor:
        """All dimensions but the batch made one."""
        return self._node("Flatten", self._unique("flatten"), [x.name], (x.shape[0], prod(x.shape[1:])), axis=1)

    def add(self, *terms: Tensor) -> Tensor:
        """Sum of tensors of one shape, two at a time; a single term is returned as it is."""
        total = terms[0]
        for term in terms[1:]:
            if term.shape != total.shape:
                raise GraphError(
                    f"network {self.name!r}: cannot add {term.shape} to {total.shape}; shapes must be equal."
                )
            total = self._node("Add", self._unique("add"), [total.name, term.name], total.shape)
        return total

    def concat(self, parts: Sequence[Tensor]) -> Tensor:
        """Tensors joined along their channels."""
        first = parts[0].shape
        for part in parts:
            if part.shape[2:] != first[2:]:
                raise GraphError(
                    f"network {self.name!r}: cannot concatenate {part.shape} with {first}; only channels may differ."
                )
        shape = (first[0], sum(part.channels for part in parts), *first[2:])
        return self._node("Concat", self._unique("concat"), [part.name for part in parts], shape, axis=1)

    def zeros_like(self, x: Tensor) -> Tensor:
        """``x`` times zero: the shape of ``x`` without its content."""
        return self._node("Mul", self._unique("zero"), [x.name, self._scalar("zero", 0.0)], x.shape)

    def squeeze_excite(
        self,
        x: Tensor,
        squeezed: int,
        *,
        activation: Activation = Activation.RELU,
        gate: Activation = Activation.SIGMOID,
    ) -> Tensor:
        """Scale every channel by a gate computed from all channel means (Hu et al., 2018).

        Args:
            x: Input.
            squeezed: Channels between the two 1x1 convolutions.
            activation: Function between them.
            gate: Function behind them.
        """
        with self.scope("se"):
            means = self.global_avg_pool(x)
            hidden = self.conv(means, squeezed, 1, activation=activation)
            scale = self.conv(hidden, x.channels, 1, activation=gate)
            return self._node("Mul", self._unique("scale"), [x.name, scale.name], x.shape)

    def classifier(self, x: Tensor, classes: int) -> Tensor:
        """Global average, then one score for each of ``classes``."""
        with self.scope("head"):
            return self.gemm(self.flatten(self.global_avg_pool(x)), classes)

    def to_model(self, output: Tensor, *, weights_rng: np.random.Generator | None = None) -> ModelProto:
        """The network as an ONNX model.

        Args:
            output: The tensor that the network returns.
            weights_rng: Source of the weights.  Without it they are only declared, as external data
                that does not exist: such a model keeps every shape in a few kilobytes but cannot run.
        """
        graph = helper.make_graph(
            self._nodes,
            self.name,
            [_value_info(tensor) for tensor in self._inputs],
            [_value_info(output)],
            initializer=[
                *(p.declared() if weights_rng is None else p.filled(weights_rng) for p in self._parameters),
                *self._constants.values(),
            ],
        )
        return helper.make_model(
            graph,
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET)],
            producer_name="costmodel.data.families",
        )

    def _window(self, x: Tensor, kernel: tuple[int, int], stride: int, padding: tuple[int, int]) -> tuple[int, int]:
        """Height and width behind a sliding window."""
        height, width = (
            (size + 2 * pad - span) // stride + 1 for size, pad, span in zip(x.shape[2:], padding, kernel, strict=True)
        )
        if height < 1 or width < 1:
            raise GraphError(
                f"network {self.name!r}: a window of {kernel} at stride {stride} does not fit into {x.shape[2:]}; "
                "choose a larger image or fewer strides."
            )
        return height, width

    def _unique(self, kind: str) -> str:
        name = ".".join([*self._scopes, kind])
        self._counts[name] += 1
        return f"{name}{self._counts[name]}"

    def _parameter(self, name: str, shape: tuple[int, ...], std: float, mean: float = 0.0) -> str:
        self._parameters.append(Parameter(name, shape, std, mean))
        return name

    def _scalar(self, name: str, value: float) -> str:
        self._constants.setdefault(name, numpy_helper.from_array(np.array(value, dtype=np.float32), name))
        return name

    def _node(
        self,
        op_type: str,
        name: str,
        inputs: Sequence[str],
        shape: tuple[int, ...],
        **attributes: int | float | tuple[int, ...],
    ) -> Tensor:
        node = helper.make_node(op_type, list(inputs), [name], name)
        node.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
        self._nodes.append(node)
        return Tensor(name, shape)


def _window_attributes(kernel: int, stride: int, padding: int) -> dict[str, tuple[int, ...]]:
    return {"kernel_shape": (kernel, kernel), "strides": (stride, stride), "pads": (padding,) * 4}


def _value_info(tensor: Tensor) -> ValueInfoProto:
    return helper.make_tensor_value_info(tensor.name, TensorProto.FLOAT, tensor.shape)
