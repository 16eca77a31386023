"""GoogLeNet: inception modules of four parallel branches (Szegedy et al., 2015), and later factorised branches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from costmodel.data.families.activation import Activation
from costmodel.data.families.builder import NetworkBuilder, Tensor
from costmodel.data.families.family import Family
from costmodel.data.families.sampling import WidthScale, between, chance, choose, class_count

__all__ = ["GoogLeNet"]


@dataclass(frozen=True, slots=True)
class _Inception:
    """Channels of the four branches of a module, as published or scaled."""

    single: float
    medium_reduce: float
    medium: float
    large_reduce: float
    large: float
    pooled: float


# Inception 3a-3b, 4a-4e and 5a-5b.
_STAGES = (
    (_Inception(64, 96, 128, 16, 32, 32), _Inception(128, 128, 192, 32, 96, 64)),
    (
        _Inception(192, 96, 208, 16, 48, 64),
        _Inception(160, 112, 224, 24, 64, 64),
        _Inception(128, 128, 256, 24, 64, 64),
        _Inception(112, 144, 288, 32, 64, 64),
        _Inception(256, 160, 320, 32, 128, 128),
    ),
    (_Inception(256, 160, 320, 32, 128, 128), _Inception(384, 192, 384, 48, 128, 128)),
)
_LARGE_BRANCHES = ("5x5", "5x5", "3x3 twice", "1x7 and 7x1")


class GoogLeNet(Family):
    """Varies modules per stage, branch widths, the form of the large branch, the pooled branch and resolution."""

    name: ClassVar[str] = "googlenet"

    def build(self, net: NetworkBuilder, rng: np.random.Generator) -> Tensor:
        """See :meth:`Family.build`."""
        widths = WidthScale.draw(rng, 0.3, 1.3)
        large_branch = choose(rng, _LARGE_BRANCHES)
        pool = net.max_pool if chance(rng, 0.6) else net.avg_pool

        x = net.image(choose(rng, (64, 96, 128, 160, 192, 224)))
        with net.scope("stem"):
            x = net.conv(x, widths(rng, 64), choose(rng, (3, 5, 7, 7)), stride=2, activation=Activation.RELU)
            x = net.max_pool(x, 3, 2, padding=1)
            x = net.conv(x, widths(rng, 64), 1, activation=Activation.RELU)
            x = net.conv(x, widths(rng, 192), 3, activation=Activation.RELU)
        for stage, modules in enumerate(_STAGES):
            with net.scope(f"stage{stage}"):
                x = net.max_pool(x, 3, 2, padding=1)
            for index, published in enumerate(modules[: between(rng, 1, len(modules))]):
                with net.scope(f"stage{stage}.inception{index}"):
                    x = _inception(net, x, published, widths, large_branch, pool(x, 3, 1, padding=1), rng)
        return net.classifier(x, class_count(rng))


def _inception(
    net: NetworkBuilder,
    x: Tensor,
    published: _Inception,
    widths: WidthScale,
    large_branch: str,
    pooled: Tensor,
    rng: np.random.Generator,
) -> Tensor:
    def conv(source: Tensor, published_channels: float, kernel: int | tuple[int, int]) -> Tensor:
        return net.conv(source, widths(rng, published_channels), kernel, activation=Activation.RELU)

    single = conv(x, published.single, 1)
    medium = conv(conv(x, published.medium_reduce, 1), published.medium, 3)
    large = conv(x, published.large_reduce, 1)
    match large_branch:
        case "5x5":
            large = conv(large, published.large, 5)
        case "3x3 twice":
            large = conv(conv(large, published.large, 3), published.large, 3)
        case _:
            large = conv(conv(large, published.large, (1, 7)), published.large, (7, 1))
    return net.concat([single, medium, large, conv(pooled, published.pooled, 1)])
