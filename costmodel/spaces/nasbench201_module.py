"""Networks of NAS-Bench-201 as torch modules."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from costmodel.data.families.nasbench201_cell import Cell, Edge

__all__ = ["NASBench201Network"]

_CHANNELS = (16, 32, 64)


class NASBench201Network(nn.Module):
    """A stem, three stages of cells with a residual block that halves the image between them, and a classifier.

    Source: Dong and Yang, "NAS-Bench-201", ICLR 2020.

    Args:
        cell: The cell that all stages are made of.
        cells: How many a stage has.
        classes: How many classes there are.
    """

    def __init__(self, cell: Cell, cells: int = 5, classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, _CHANNELS[0], 3, padding=1, bias=False), nn.BatchNorm2d(_CHANNELS[0]))
        stages: list[nn.Module] = []
        for before, channels in zip((None, *_CHANNELS), _CHANNELS, strict=False):
            if before is not None:
                stages.append(_Reduction(before, channels))
            stages += [_CellModule(cell, channels) for _ in range(cells)]
        self.stages = nn.Sequential(*stages)
        self.head = nn.Sequential(nn.BatchNorm2d(_CHANNELS[-1]), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.classifier = nn.Linear(_CHANNELS[-1], classes)

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch classes"]:
        """Scores of the classes."""
        scores: Tensor = self.classifier(self.head(self.stages(self.stem(images))))
        return scores


class _CellModule(nn.Module):
    """Every node is the sum of its incoming edges."""

    def __init__(self, cell: Cell, channels: int) -> None:
        super().__init__()
        self.edges = cell.edges
        self.operations = nn.ModuleList(_operation(edge, channels) for edge in cell.edges)

    def forward(self, x: Tensor) -> Tensor:
        nodes = {0: x}
        for edge, operation in zip(self.edges, self.operations, strict=True):
            carried = operation(nodes[edge.source])
            nodes[edge.target] = nodes[edge.target] + carried if edge.target in nodes else carried
        return nodes[max(nodes)]


class _Nothing(nn.Module):
    """What the published networks do for ``none``: it costs a product."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 0.0


def _operation(edge: Edge, channels: int) -> nn.Module:
    match edge.operation:
        case "nor_conv_1x1":
            return _convolution(channels, channels, 1)
        case "nor_conv_3x3":
            return _convolution(channels, channels, 3)
        case "avg_pool_3x3":
            return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
        case "none":
            return _Nothing()
        case _:
            return nn.Identity()


def _convolution(before: int, channels: int, size: int, stride: int = 1) -> nn.Module:
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(before, channels, size, stride=stride, padding=size // 2, bias=False),
        nn.BatchNorm2d(channels),
    )


class _Reduction(nn.Module):
    def __init__(self, before: int, channels: int) -> None:
        super().__init__()
        self.main = nn.Sequential(_convolution(before, channels, 3, stride=2), _convolution(channels, channels, 3))
        self.shortcut = nn.Sequential(nn.AvgPool2d(2, 2), nn.Conv2d(before, channels, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        summed: Tensor = torch.add(self.main(x), self.shortcut(x))
        return summed
