"""Profile a ResNet on three platforms that are not on the desk, module by module, and annotate its fx graph.

    pip install nnformer-costmodel
    python examples/profile_fx_model.py [FOLDER]

Nothing is run, and no weights are made: the module lives on the ``meta`` device.  FOLDER gets ``resnet50.html``, a page
to look at, and ``resnet50.trace.json``, a timeline for https://ui.perfetto.dev; without it they go to a folder of their
own.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import torch
from torch import fx, nn

from costmodel.integrations.torch import LatencyPass, profile

PLATFORMS = ["rtx3090-pt2.4-amp-nhwc", "i9-10940x-pt2.4-fp32-dynamo", "epyc-*-ort*-fp32-1t"]


class Bottleneck(nn.Module):
    """Three convolutions beside a shortcut."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = 4 * width
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        self.act = nn.ReLU()
        self.downsample: nn.Module = nn.Identity()
        if inputs != outputs or stride != 1:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The block's output."""
        y = self.act(self.bn1(self.conv1(x)))
        y = self.act(self.bn2(self.conv2(y)))
        return self.act(self.bn3(self.conv3(y)) + self.downsample(x))


class ResNet50(nn.Module):
    """He et al., "Deep Residual Learning for Image Recognition", CVPR 2016."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        self.act, self.maxpool = nn.ReLU(), nn.MaxPool2d(3, 2, 1)
        self.layer1, self.layer2 = stage(64, 64, 3, 1), stage(256, 128, 4, 2)
        self.layer3, self.layer4 = stage(512, 256, 6, 2), stage(1024, 512, 3, 2)
        self.fc = nn.Linear(2048, 1000)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """A score for each class."""
        x = self.maxpool(self.act(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


def stage(inputs: int, width: int, blocks: int, stride: int) -> nn.Sequential:
    """Blocks of one resolution."""
    first = Bottleneck(inputs, width, stride)
    return nn.Sequential(first, *(Bottleneck(4 * width, width, 1) for _ in range(blocks - 1)))


def main(folder: Path) -> None:
    """Print the profile, write the page and the timeline, and name the slowest nodes of the fx graph."""
    with torch.device("meta"):
        module, image = ResNet50(), torch.zeros(1, 3, 224, 224)
    profiled = profile(module, image, PLATFORMS)
    print(profiled)
    (folder / "resnet50.html").write_text(profiled.to_html(), encoding="utf-8")
    (folder / "resnet50.trace.json").write_text(profiled.to_chrome_trace(), encoding="utf-8")

    graph_module = fx.symbolic_trace(module)
    LatencyPass(image, PLATFORMS[0])(graph_module)
    platform = profiled.platforms[0]
    times_ms = {node: node.meta["predicted_latency_ms"][platform] for node in graph_module.graph.nodes}
    print(f"Slowest nodes of the fx graph on {platform}:")
    for node in sorted(times_ms, key=times_ms.__getitem__, reverse=True)[:3]:
        print(f"  {node.name:<20} {times_ms[node]:.3f} ms")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        main(Path(tempfile.mkdtemp(prefix="profile-")))
