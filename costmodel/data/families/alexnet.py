"""AlexNet: few large convolutions, large fully connected layers (Krizhevsky et al., 2012)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from costmodel.data.families.activation import Activation
from costmodel.data.families.builder import NetworkBuilder, Tensor
from costmodel.data.families.family import Family
from costmodel.data.families.sampling import (
    WidthScale,
    between,
    chance,
    choose,
    class_count,
    log_between,
    multiple_of,
)

__all__ = ["AlexNet"]

_TAIL_CHANNELS = (384, 256, 256, 256, 192)


class AlexNet(Family):
    """Varies resolution, kernels, groups, widths, tail depth, activation, normalisation and pooling."""

    name: ClassVar[str] = "alexnet"

    def build(self, net: NetworkBuilder, rng: np.random.Generator) -> Tensor:
        """See :meth:`Family.build`."""
        widths = WidthScale.draw(rng, 0.5, 2.0)
        activation = choose(rng, (Activation.RELU, Activation.RELU, Activation.RELU, Activation.LEAKY_RELU))
        normalised = chance(rng, 0.25)
        pool = choose(rng, (2, 3))
        groups = choose(rng, (1, 1, 1, 2))

        x = net.image(choose(rng, (128, 160, 192, 224, 224, 227, 256)))
        with net.scope("stem"):
            x = net.conv(
                x,
                groups * widths(rng, 64 / groups),
                choose(rng, (5, 7, 9, 11)),
                stride=choose(rng, (2, 4, 4)),
                activation=activation,
            )
            if normalised:
                x = net.local_response_norm(x)
            x = net.max_pool(x, pool, 2)
        with net.scope("middle"):
            channels = groups * widths(rng, 192 / groups)
            x = net.conv(x, channels, choose(rng, (3, 5, 7)), groups=groups, activation=activation)
            if normalised:
                x = net.local_response_norm(x)
            x = net.max_pool(x, pool, 2)
        with net.scope("tail"):
            for published in _TAIL_CHANNELS[: between(rng, 1, 5)]:
                channels = groups * widths(rng, published / groups)
                x = net.conv(x, channels, choose(rng, (1, 3, 3, 3, 5)), groups=groups, activation=activation)
            x = net.max_pool(x, 2, 2)
        with net.scope("head"):
            x = net.flatten(x)
            for _ in range(between(rng, 0, 2)):
                features = multiple_of(choose(rng, (1, 8, 64)), log_between(rng, 128, 4096))
                x = net.gemm(x, features, activation=activation)
            return net.gemm(x, class_count(rng))
