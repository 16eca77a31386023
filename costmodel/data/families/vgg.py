"""VGG: stages of plain convolutions between poolings (Simonyan and Zisserman, 2015)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from costmodel.data.families.activation import Activation
from costmodel.data.families.builder import NetworkBuilder, Tensor
from costmodel.data.families.family import Family
from costmodel.data.families.sampling import WidthScale, between, chance, choose, class_count, log_between

__all__ = ["VGG"]

_STAGE_CHANNELS = (64, 128, 256, 512, 512)


class VGG(Family):
    """Varies resolution, number and depth of stages, widths, kernels, pooling and the head."""

    name: ClassVar[str] = "vgg"

    def build(self, net: NetworkBuilder, rng: np.random.Generator) -> Tensor:
        """See :meth:`Family.build`."""
        widths = WidthScale.draw(rng, 0.2, 1.0)
        kernels = choose(rng, ((3,), (3,), (3, 3, 1), (3, 3, 5)))
        activation = choose(rng, (Activation.RELU, Activation.RELU, Activation.RELU, Activation.HARD_SWISH))
        pool = net.max_pool if chance(rng, 0.8) else net.avg_pool

        x = net.image(choose(rng, (32, 64, 96, 128, 160, 192, 224)))
        for index, published in enumerate(_STAGE_CHANNELS[: between(rng, 4, 5)]):
            channels = widths(rng, published)
            with net.scope(f"stage{index}"):
                for _ in range(between(rng, 1, 4)):
                    x = net.conv(x, channels, choose(rng, kernels), activation=activation)
                x = pool(x, 2, 2)
        if chance(rng, 0.4):
            return net.classifier(x, class_count(rng))
        with net.scope("head"):
            x = net.flatten(x)
            features = round(log_between(rng, 128, 2048))
            for _ in range(between(rng, 1, 2)):
                x = net.gemm(x, features, activation=activation)
            return net.gemm(x, class_count(rng))
