"""MobileNetV2: inverted residuals with ReLU6 (Sandler et al., 2018)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from costmodel.data.families.activation import Activation
from costmodel.data.families.builder import NetworkBuilder, Tensor
from costmodel.data.families.family import Family
from costmodel.data.families.inverted_residual import InvertedResidual
from costmodel.data.families.sampling import WidthScale, between, choose, class_count

__all__ = ["MobileNetV2"]

# Output channels, blocks, stride of the first block.
_STAGES = ((16, 1, 1), (24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1))


class MobileNetV2(Family):
    """Varies widths, blocks per stage, kernels and expansion per stage, and resolution."""

    name: ClassVar[str] = "mobilenet_v2"

    def build(self, net: NetworkBuilder, rng: np.random.Generator) -> Tensor:
        """See :meth:`Family.build`."""
        widths = WidthScale.draw(rng, 0.5, 2.4)
        activation = choose(rng, (Activation.RELU6, Activation.RELU6, Activation.RELU6, Activation.RELU))
        kernels = choose(rng, ((3,), (3,), (3, 5), (3, 5, 7)))

        x = net.image(choose(rng, (96, 128, 160, 192, 224, 224, 256, 288)))
        with net.scope("stem"):
            x = net.conv(x, widths(rng, 32), 3, stride=2, activation=activation)
        for stage, (published, blocks, stride) in enumerate(_STAGES):
            channels = widths(rng, published)
            expansion = 1 if stage == 0 else choose(rng, (3, 4, 6, 6, 6))
            kernel = choose(rng, kernels)
            for index in range(max(1, blocks + between(rng, -1, 1))):
                block = InvertedResidual(
                    expanded=x.channels * expansion,
                    channels=channels,
                    kernel=kernel,
                    stride=stride if index == 0 else 1,
                    activation=activation,
                )
                with net.scope(f"stage{stage}.block{index}"):
                    x = block.apply(net, x)
        with net.scope("head"):
            x = net.conv(x, max(512, widths(rng, 1280)), 1, activation=activation)
        return net.classifier(x, class_count(rng))
