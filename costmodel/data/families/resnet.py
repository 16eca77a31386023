"""ResNet: basic and bottleneck blocks with shortcuts (He et al., 2016), and their grouped and gated descendants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from costmodel.data.families.activation import Activation
from costmodel.data.families.builder import RESIDUAL_GAIN, NetworkBuilder, Tensor
from costmodel.data.families.family import Family
from costmodel.data.families.sampling import WidthScale, between, chance, choose, class_count

__all__ = ["ResNet"]

_STAGE_CHANNELS = (64, 128, 256, 512)


@dataclass(frozen=True, slots=True)
class _BlockStyle:
    """What all blocks of one variant have in common."""

    bottleneck: bool
    expansion: int
    groups: int
    kernel: int
    squeeze_excite: bool
    average_shortcut: bool
    activation: Activation

    @classmethod
    def draw(cls, rng: np.random.Generator) -> _BlockStyle:
        bottleneck = chance(rng, 0.5)
        return cls(
            bottleneck=bottleneck,
            expansion=choose(rng, (2, 4, 4)) if bottleneck else 1,
            groups=choose(rng, (1, 1, 1, 2, 4, 8, 32)) if bottleneck else 1,
            kernel=choose(rng, (3, 3, 3, 3, 5)),
            squeeze_excite=chance(rng, 0.2),
            average_shortcut=chance(rng, 0.2),
            activation=choose(rng, (Activation.RELU, Activation.RELU, Activation.RELU, Activation.SWISH)),
        )


class ResNet(Family):
    """Varies stem, block kind, groups, gates, shortcuts, depth, widths, kernels and resolution."""

    name: ClassVar[str] = "resnet"

    def build(self, net: NetworkBuilder, rng: np.random.Generator) -> Tensor:
        """See :meth:`Family.build`."""
        style = _BlockStyle.draw(rng)
        widths = WidthScale.draw(rng, 0.15, 1.0)
        max_depth = choose(rng, (2, 3, 4, 6))

        x = net.image(choose(rng, (64, 96, 128, 160, 192, 224)))
        x = _stem(net, x, widths(rng, 64), style.activation, rng)
        for stage, published in enumerate(_STAGE_CHANNELS[: choose(rng, (3, 4, 4, 4))]):
            channels = style.groups * widths(rng, published / style.groups)
            for index in range(between(rng, 1, max_depth)):
                with net.scope(f"stage{stage}.block{index}"):
                    x = _block(net, x, channels, 2 if stage > 0 and index == 0 else 1, style)
        return net.classifier(x, class_count(rng))


def _stem(net: NetworkBuilder, x: Tensor, channels: int, activation: Activation, rng: np.random.Generator) -> Tensor:
    with net.scope("stem"):
        if chance(rng, 0.3):
            x = net.conv(x, max(1, channels // 2), 3, stride=2, activation=activation)
            x = net.conv(x, max(1, channels // 2), 3, activation=activation)
            x = net.conv(x, channels, 3, activation=activation)
        else:
            x = net.conv(x, channels, choose(rng, (3, 5, 7, 7)), stride=2, activation=activation)
        return net.max_pool(x, 3, 2, padding=1)


def _block(net: NetworkBuilder, x: Tensor, channels: int, stride: int, style: _BlockStyle) -> Tensor:
    out_channels = channels * style.expansion
    shortcut = _shortcut(net, x, out_channels, stride, style)
    activation = style.activation
    if style.bottleneck:
        y = net.conv(x, channels, 1, activation=activation)
        y = net.conv(y, channels, style.kernel, stride=stride, groups=style.groups, activation=activation)
        y = net.conv(y, out_channels, 1, gain=RESIDUAL_GAIN)
    else:
        y = net.conv(x, channels, style.kernel, stride=stride, activation=activation)
        y = net.conv(y, out_channels, style.kernel, gain=RESIDUAL_GAIN)
    if style.squeeze_excite:
        y = net.squeeze_excite(y, max(1, out_channels // 16))
    return net.activation(net.add(y, shortcut), activation)


def _shortcut(net: NetworkBuilder, x: Tensor, channels: int, stride: int, style: _BlockStyle) -> Tensor:
    if stride == 1 and x.channels == channels:
        return x
    with net.scope("shortcut"):
        if stride > 1 and style.average_shortcut:
            # A 3x3 window, padded, so that odd sizes round up as the strided convolution beside it does.
            x, stride = net.avg_pool(x, 3, stride, padding=1), 1
        return net.conv(x, channels, 1, stride=stride)
