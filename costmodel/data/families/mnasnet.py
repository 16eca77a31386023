"""MnasNet: inverted residuals whose kernel, expansion and gate were searched per stage (Tan et al., 2019)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from costmodel.data.families.activation import Activation
from costmodel.data.families.builder import NetworkBuilder, Tensor
from costmodel.data.families.family import Family
from costmodel.data.families.inverted_residual import InvertedResidual, SqueezeExcite
from costmodel.data.families.sampling import WidthScale, between, chance, choose, class_count

__all__ = ["MnasNet"]

# Output channels, blocks, stride of the first block.
_STAGES = ((24, 3, 2), (40, 3, 2), (80, 3, 2), (96, 2, 1), (192, 4, 2), (320, 1, 1))


class MnasNet(Family):
    """Varies widths, blocks, kernel, expansion and gate per stage, and resolution."""

    name: ClassVar[str] = "mnasnet"

    def build(self, net: NetworkBuilder, rng: np.random.Generator) -> Tensor:
        """See :meth:`Family.build`."""
        widths = WidthScale.draw(rng, 0.5, 2.4)
        gate_share = choose(rng, (0.0, 0.0, 0.5))

        x = net.image(choose(rng, (112, 128, 160, 192, 224, 224, 256)))
        with net.scope("stem"):
            x = net.conv(x, widths(rng, 32), 3, stride=2, activation=Activation.RELU)
            x = net.conv(x, x.channels, 3, groups=x.channels, activation=Activation.RELU)
            x = net.conv(x, widths(rng, 16), 1)
        for stage, (published, blocks, stride) in enumerate(_STAGES):
            channels = widths(rng, published)
            kernel = choose(rng, (3, 3, 5, 5, 7))
            expansion = choose(rng, (3, 3, 6, 6))
            gated = chance(rng, gate_share)
            for index in range(max(1, blocks + between(rng, -1, 1))):
                block = InvertedResidual(
                    expanded=x.channels * expansion,
                    channels=channels,
                    kernel=kernel,
                    stride=stride if index == 0 else 1,
                    activation=Activation.RELU,
                    squeeze_excite=SqueezeExcite(max(1, x.channels * expansion // 4)) if gated else None,
                )
                with net.scope(f"stage{stage}.block{index}"):
                    x = block.apply(net, x)
        with net.scope("head"):
            x = net.conv(x, max(512, widths(rng, 1280)), 1, activation=Activation.RELU)
        return net.classifier(x, class_count(rng))
