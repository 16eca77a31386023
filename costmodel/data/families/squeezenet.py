"""SqueezeNet: fire modules, a narrow 1x1 convolution feeding two parallel wider ones (Iandola et al., 2016)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from costmodel.data.families.activation import Activation
from costmodel.data.families.builder import NetworkBuilder, Tensor
from costmodel.data.families.family import Family
from costmodel.data.families.sampling import WidthScale, between, chance, choose, class_count

__all__ = ["SqueezeNet"]

_STAGE_CHANNELS = (128, 256, 384, 512)


class SqueezeNet(Family):
    """Varies stem, modules per stage, squeeze ratio, share of 3x3 filters, bypasses, widths and resolution."""

    name: ClassVar[str] = "squeezenet"

    def build(self, net: NetworkBuilder, rng: np.random.Generator) -> Tensor:
        """See :meth:`Family.build`."""
        widths = WidthScale.draw(rng, 0.4, 1.6)
        squeeze_ratio = choose(rng, (0.0625, 0.125, 0.125, 0.25, 0.5))
        wide_share = choose(rng, (0.25, 0.5, 0.5, 0.75))
        kernel = choose(rng, (3, 3, 3, 5))
        bypass = chance(rng, 0.3)

        x = net.image(choose(rng, (96, 128, 160, 192, 224)))
        with net.scope("stem"):
            x = net.conv(x, widths(rng, 64), choose(rng, (3, 3, 5, 7)), stride=2, activation=Activation.RELU)
        for stage, published in enumerate(_STAGE_CHANNELS[: between(rng, 3, 4)]):
            if stage < 3:
                with net.scope(f"stage{stage}"):
                    x = net.max_pool(x, 3, 2)
            channels = widths(rng, published)
            for index in range(between(rng, 1, 4)):
                with net.scope(f"stage{stage}.fire{index}"):
                    squeezed = max(1, round(channels * squeeze_ratio))
                    y = _fire(net, x, squeezed, channels, wide_share, kernel)
                    x = net.add(y, x) if bypass and y.shape == x.shape else y
        with net.scope("head"):
            scores = net.conv(x, class_count(rng), 1, activation=Activation.RELU)
            return net.flatten(net.global_avg_pool(scores))


def _fire(net: NetworkBuilder, x: Tensor, squeezed: int, channels: int, wide_share: float, kernel: int) -> Tensor:
    wide = max(1, round(channels * wide_share))
    narrow = max(1, channels - wide)
    hub = net.conv(x, squeezed, 1, activation=Activation.RELU)
    branches = [
        net.conv(hub, narrow, 1, activation=Activation.RELU),
        net.conv(hub, wide, kernel, activation=Activation.RELU),
    ]
    return net.concat(branches)
