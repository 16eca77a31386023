"""EfficientNet: gated inverted residuals scaled in width, depth and resolution (Tan and Le, 2019)."""

from __future__ import annotations

from math import ceil
from typing import ClassVar

import numpy as np

from costmodel.data.families.activation import Activation
from costmodel.data.families.builder import NetworkBuilder, Tensor
from costmodel.data.families.family import Family
from costmodel.data.families.inverted_residual import InvertedResidual, SqueezeExcite
from costmodel.data.families.sampling import WidthScale, chance, choose, class_count, log_between

__all__ = ["EfficientNet"]

# Expansion, output channels, blocks, stride of the first block, depthwise kernel: the B0 network.
_STAGES = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)


class EfficientNet(Family):
    """Varies the width, depth and resolution factors, kernel and expansion of some stages, and the gate's width."""

    name: ClassVar[str] = "efficientnet"

    def build(self, net: NetworkBuilder, rng: np.random.Generator) -> Tensor:
        """See :meth:`Family.build`."""
        widths = WidthScale.draw(rng, 0.4, 1.5)
        depth = log_between(rng, 0.5, 1.6)
        squeeze_ratio = choose(rng, (0.125, 0.25, 0.25, 0.5))

        x = net.image(choose(rng, (96, 128, 160, 192, 224, 224, 240, 260)))
        with net.scope("stem"):
            x = net.conv(x, widths(rng, 32), 3, stride=2, activation=Activation.SWISH)
        for stage, (published_expansion, published_channels, blocks, stride, published_kernel) in enumerate(_STAGES):
            channels = widths(rng, published_channels)
            searched = stage > 0 and chance(rng, 0.4)
            expansion = choose(rng, (3, 4, 6)) if searched else published_expansion
            kernel = choose(rng, (3, 5, 7)) if searched else published_kernel
            for index in range(ceil(blocks * depth)):
                block = InvertedResidual(
                    expanded=x.channels * expansion,
                    channels=channels,
                    kernel=kernel,
                    stride=stride if index == 0 else 1,
                    activation=Activation.SWISH,
                    squeeze_excite=SqueezeExcite(max(1, round(x.channels * squeeze_ratio)), Activation.SWISH),
                )
                with net.scope(f"stage{stage}.block{index}"):
                    x = block.apply(net, x)
        with net.scope("head"):
            x = net.conv(x, max(320, widths(rng, 1280)), 1, activation=Activation.SWISH)
        return net.classifier(x, class_count(rng))
