"""MobileNetV3: searched inverted residuals, hard-swish and hard gates (Howard et al., 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from costmodel.data.families.activation import Activation
from costmodel.data.families.builder import NetworkBuilder, Tensor
from costmodel.data.families.family import Family
from costmodel.data.families.inverted_residual import InvertedResidual, SqueezeExcite
from costmodel.data.families.sampling import WidthScale, between, chance, choose, class_count, multiple_of

__all__ = ["MobileNetV3"]


@dataclass(frozen=True, slots=True)
class _Stage:
    channels: int
    blocks: int
    stride: int
    activation: Activation
    gated: bool


_LARGE = (
    _Stage(16, 1, 1, Activation.RELU, gated=False),
    _Stage(24, 2, 2, Activation.RELU, gated=False),
    _Stage(40, 3, 2, Activation.RELU, gated=True),
    _Stage(80, 4, 2, Activation.HARD_SWISH, gated=False),
    _Stage(112, 2, 1, Activation.HARD_SWISH, gated=True),
    _Stage(160, 3, 2, Activation.HARD_SWISH, gated=True),
)
_SMALL = (
    _Stage(16, 1, 2, Activation.RELU, gated=True),
    _Stage(24, 2, 2, Activation.RELU, gated=False),
    _Stage(40, 3, 2, Activation.HARD_SWISH, gated=True),
    _Stage(48, 2, 1, Activation.HARD_SWISH, gated=True),
    _Stage(96, 3, 2, Activation.HARD_SWISH, gated=True),
)


class MobileNetV3(Family):
    """Starts from the large or the small network; varies widths, depth, kernel, expansion and gate per block."""

    name: ClassVar[str] = "mobilenet_v3"
    max_macs: ClassVar[int] = 800_000_000

    def build(self, net: NetworkBuilder, rng: np.random.Generator) -> Tensor:
        """See :meth:`Family.build`."""
        stages = choose(rng, (_LARGE, _LARGE, _SMALL))
        widths = WidthScale.draw(rng, 0.6, 2.2)

        x = net.image(choose(rng, (128, 160, 192, 224, 256, 288)))
        with net.scope("stem"):
            x = net.conv(x, widths(rng, 16), 3, stride=2, activation=Activation.HARD_SWISH)
        for stage, spec in enumerate(stages):
            channels = widths(rng, spec.channels)
            gated = spec.gated ^ chance(rng, 0.15)
            for index in range(max(1, spec.blocks + between(rng, -1, 1))):
                block = _block(x.channels, channels, spec.stride if index == 0 else 1, spec.activation, gated, rng)
                with net.scope(f"stage{stage}.block{index}"):
                    x = block.apply(net, x)
        with net.scope("head"):
            x = net.conv(x, 6 * x.channels, 1, activation=Activation.HARD_SWISH)
            x = net.flatten(net.global_avg_pool(x))
            x = net.gemm(x, max(256, widths(rng, 1280)), activation=Activation.HARD_SWISH)
            return net.gemm(x, class_count(rng))


def _block(
    in_channels: int, channels: int, stride: int, activation: Activation, gated: bool, rng: np.random.Generator
) -> InvertedResidual:
    expanded = round(in_channels * choose(rng, (1, 2.3, 3, 4, 6, 6)))
    gate = SqueezeExcite(multiple_of(8, expanded / 4), gate=Activation.HARD_SIGMOID) if gated else None
    return InvertedResidual(expanded, channels, choose(rng, (3, 5, 5, 7)), stride, activation, gate)
