"""Networks of NAS-Bench-101 as torch modules."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

__all__ = ["NASBench101Network", "node_channels"]

_STEM_CHANNELS = 128
_STACKS, _CELLS_A_STACK = 3, 3


class NASBench101Network(nn.Module):
    """A stem, three stacks of three cells, each stack of half the size and twice the channels, and a classifier.

    Source: Ying et al., "NAS-Bench-101", ICML 2019.

    Args:
        operations: Names of the cell's operations, input first and output last.
        edges: Producer and consumer of each edge; every operation lies on a way from input to output.
        classes: How many classes there are.
    """

    def __init__(self, operations: Sequence[str], edges: Int[np.ndarray, "edges 2"], classes: int = 10) -> None:
        super().__init__()
        channels = _STEM_CHANNELS
        layers: list[nn.Module] = [_convolution(3, channels, 3)]
        before = channels
        for stack in range(_STACKS):
            if stack:
                layers.append(nn.MaxPool2d(2, 2))
                channels *= 2
            for _ in range(_CELLS_A_STACK):
                layers.append(_Cell(operations, edges, before, channels))
                before = channels
        self.layers = nn.Sequential(*layers)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch classes"]:
        """Scores of the classes."""
        scores: Tensor = self.classifier(self.layers(images).mean((2, 3)))
        return scores


def node_channels(edges: Int[np.ndarray, "edges 2"], nodes: int, before: int, after: int) -> list[int]:
    """Channels of each node of a cell: those that feed the output share its channels, others have as many as they feed.

    Args:
        edges: Producer and consumer of each edge.
        nodes: How many there are, input and output among them.
        before: Channels of the input.
        after: Channels of the output.
    """
    last = nodes - 1
    pairs = [(int(producer), int(consumer)) for producer, consumer in edges]
    feeding = sorted(producer for producer, consumer in pairs if consumer == last and producer > 0)
    channels = [before, *[0] * (nodes - 2), after]
    for index, node in enumerate(feeding):
        channels[node] = after // len(feeding) + (index < after % len(feeding))
    for node in range(last - 1, 0, -1):
        if node not in feeding:
            channels[node] = max(channels[consumer] for producer, consumer in pairs if producer == node)
    return channels


class _Cell(nn.Module):
    """Nodes add what they are fed; the output joins what it is fed, and adds the input if that feeds it too."""

    def __init__(self, operations: Sequence[str], edges: Int[np.ndarray, "edges 2"], before: int, after: int) -> None:
        super().__init__()
        self.last = len(operations) - 1
        self.channels = node_channels(edges, len(operations), before, after)
        self.sources = [
            [int(producer) for producer, consumer in edges if consumer == node] for node in range(len(operations))
        ]
        self.projections = nn.ModuleDict(
            {
                str(node): _convolution(before, self.channels[node], 1)
                for node, sources in enumerate(self.sources)
                if 0 in sources
            }
        )
        self.operations = nn.ModuleDict(
            {str(node): _operation(operations[node], self.channels[node]) for node in range(1, self.last)}
        )

    def forward(self, x: Tensor) -> Tensor:
        made: dict[int, Tensor] = {}
        for node in range(1, self.last):
            fed = [made[source][:, : self.channels[node]] for source in self.sources[node] if source]
            if 0 in self.sources[node]:
                fed.append(self.projections[str(node)](x))
            made[node] = self.operations[str(node)](_sum(fed))
        joined = [made[source] for source in self.sources[self.last] if source]
        parts = [torch.cat(joined, dim=1)] if joined else []
        if 0 in self.sources[self.last]:
            parts.append(self.projections[str(self.last)](x))
        return _sum(parts)


def _sum(parts: Sequence[Tensor]) -> Tensor:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def _operation(name: str, channels: int) -> nn.Module:
    match name:
        case "conv3x3-bn-relu":
            return _convolution(channels, channels, 3)
        case "conv1x1-bn-relu":
            return _convolution(channels, channels, 1)
        case _:
            return nn.MaxPool2d(3, stride=1, padding=1)


def _convolution(before: int, after: int, size: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(before, after, size, padding=size // 2, bias=False), nn.BatchNorm2d(after), nn.ReLU()
    )
