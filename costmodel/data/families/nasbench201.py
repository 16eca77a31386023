"""NAS-Bench-201: a small skeleton around one searched cell (Dong and Yang, 2020)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from onnx import ModelProto

from costmodel.data.families.activation import Activation
from costmodel.data.families.builder import RESIDUAL_GAIN, NetworkBuilder, Tensor
from costmodel.data.families.family import Family
from costmodel.data.families.nasbench201_cell import Cell
from costmodel.data.families.sampling import between, choose
from costmodel.errors import UsageError

__all__ = ["NASBench201", "nasbench201_network"]

_STAGES = 3


class NASBench201(Family):
    """Varies the cell, the cells per stage, and now and then the channels and the resolution."""

    name: ClassVar[str] = "nasbench201"
    min_macs: ClassVar[int] = 8_000_000

    def build(self, net: NetworkBuilder, rng: np.random.Generator) -> Tensor:
        """See :meth:`Family.build`."""
        return _network(
            net,
            Cell.draw(rng),
            cells=choose(rng, (1, 2, 3, 4, 5, 5, 5)),
            channels=choose(rng, (16, 16, 16, between(rng, 8, 48))),
            image=choose(rng, (32, 32, 32, 48, 64)),
            classes=choose(rng, (10, 100, 120)),
        )


def nasbench201_network(
    arch: str,
    *,
    cells: int = 5,
    channels: int = 16,
    image: int = 32,
    classes: int = 10,
    batch: int = 1,
    every_edge: bool = False,
    weights: bool = True,
    seed: int = 0,
) -> ModelProto:
    """The network that NAS-Bench-201 builds around a cell.

    Args:
        arch: The cell, in the published form ``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|``.
        cells: Cells in each of the three stages.
        channels: Channels of the first stage; every later stage has twice as many.
        image: Height and width of the input in pixels, a multiple of 4 because two stages halve it.
        classes: Number of classes.
        batch: Images per run.
        every_edge: Whether to build edges without an effect too, see :meth:`Cell.apply`.
        weights: Whether to fill the weights in; see :meth:`Family.generate`.
        seed: Seed of the weights.

    Raises:
        UsageError: ``arch`` is not of the published form, a count is not positive, or ``image`` is no multiple of 4.
    """
    counts = {"cells": cells, "channels": channels, "image": image, "classes": classes, "batch": batch}
    wrong = {name: count for name, count in counts.items() if count < 1}
    if wrong:
        raise UsageError(f"NAS-Bench-201 network: expected counts of at least 1, got {wrong}.")
    if image % 4:
        raise UsageError(f"NAS-Bench-201 network: expected an image size that is a multiple of 4, got {image}.")
    net = NetworkBuilder(arch, batch=batch)
    output = _network(
        net,
        Cell.parse(arch),
        cells=cells,
        channels=channels,
        image=image,
        classes=classes,
        every_edge=every_edge,
    )
    return net.to_model(output, weights_rng=np.random.default_rng(seed) if weights else None)


def _network(
    net: NetworkBuilder,
    cell: Cell,
    *,
    cells: int,
    channels: int,
    image: int,
    classes: int,
    every_edge: bool = False,
) -> Tensor:
    x = net.image(image)
    with net.scope("stem"):
        x = net.conv(x, channels, 3)
    for stage in range(_STAGES):
        if stage > 0:
            with net.scope(f"stage{stage}.reduction"):
                x = _reduction(net, x, channels << stage)
        for index in range(cells):
            with net.scope(f"stage{stage}.cell{index}"):
                x = cell.apply(net, x, every_edge=every_edge)
    with net.scope("head"):
        x = net.activation(net.batch_norm(x), Activation.RELU)
    return net.classifier(x, classes)


def _reduction(net: NetworkBuilder, x: Tensor, channels: int) -> Tensor:
    """The residual block between stages, which halves the image: activations stand in front of convolutions."""
    y = net.conv(net.activation(x, Activation.RELU), channels, 3, stride=2)
    y = net.conv(net.activation(y, Activation.RELU), channels, 3, gain=RESIDUAL_GAIN)
    with net.scope("shortcut"):
        shortcut = net.conv(net.avg_pool(x, 2, 2), channels, 1)
    return net.add(shortcut, y)
