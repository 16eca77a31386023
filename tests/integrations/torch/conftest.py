"""Modules and a predictor that tests of this room share."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from costmodel.predictor import Predictor
from costmodel.pretrained import Bundle


class Block(nn.Module):
    """A convolution with an activation, and a sum that belongs to no module inside."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.act = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.conv(x)) + x


class Network(nn.Module):
    """Two blocks and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(Block(4), Block(4))
        self.head = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.blocks(x).mean((2, 3)))


@pytest.fixture
def network() -> Network:
    with torch.device("meta"):
        return Network()


@pytest.fixture
def image() -> torch.Tensor:
    return torch.zeros(2, 4, 8, 8, device="meta")


@pytest.fixture
def predictor(untrained_bundle: Bundle) -> Predictor:
    return Predictor(untrained_bundle)
