"""The inverted residual block that the mobile families share (Sandler et al., 2018)."""

from __future__ import annotations

from dataclasses import dataclass

from costmodel.data.families.activation import Activation
from costmodel.data.families.builder import RESIDUAL_GAIN, NetworkBuilder, Tensor

__all__ = ["InvertedResidual", "SqueezeExcite"]


@dataclass(frozen=True, slots=True)
class SqueezeExcite:
    """The channel gate of a block: width between its two convolutions and the functions behind them."""

    squeezed: int
    activation: Activation = Activation.RELU
    gate: Activation = Activation.SIGMOID


@dataclass(frozen=True, slots=True)
class InvertedResidual:
    """Expand with 1x1, filter each channel alone, gate, project back, add the input where shapes allow.

    Attributes:
        expanded: Channels of the depthwise convolution; no expansion where the input has as many.
        channels: Output channels.
        kernel: Size of the depthwise convolution.
        stride: Of the depthwise convolution.
        activation: Behind the first two convolutions.
        squeeze_excite: The gate, if any.
    """

    expanded: int
    channels: int
    kernel: int
    stride: int
    activation: Activation
    squeeze_excite: SqueezeExcite | None = None

    def apply(self, net: NetworkBuilder, x: Tensor) -> Tensor:
        """Add the block to ``net``, reading ``x``."""
        y = x
        if self.expanded != x.channels:
            y = net.conv(y, self.expanded, 1, activation=self.activation)
        y = net.conv(
            y, self.expanded, self.kernel, stride=self.stride, groups=self.expanded, activation=self.activation
        )
        if self.squeeze_excite is not None:
            gate = self.squeeze_excite
            y = net.squeeze_excite(y, gate.squeezed, activation=gate.activation, gate=gate.gate)
        if self.stride == 1 and x.channels == self.channels:
            return net.add(net.conv(y, self.channels, 1, gain=RESIDUAL_GAIN), x)
        return net.conv(y, self.channels, 1)
