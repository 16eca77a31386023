"""The same network through ONNX and through torch ends as the same graph."""

from __future__ import annotations

import warnings
from collections import Counter

import pytest
import torch
from torch import nn

from costmodel import Predictor
from costmodel.graph import OpGraph, load_graph, total_cost
from costmodel.pretrained import pretrained_names

pytest.importorskip("onnxscript", reason="torch.onnx needs onnxscript: pip install onnxscript")


class ResidualBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(x + self.bn2(self.conv2(y)))


class MobileBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.expand = nn.Conv2d(width, 4 * width, 1)
        self.depthwise = nn.Conv2d(4 * width, 4 * width, 5, padding=2, groups=4 * width)
        self.squeeze = nn.Conv2d(4 * width, width, 1)
        self.excite = nn.Conv2d(width, 4 * width, 1)
        self.project = nn.Conv2d(4 * width, width, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = nn.functional.hardswish(self.expand(x))
        y = nn.functional.silu(self.depthwise(y))
        gate = self.excite(nn.functional.relu6(self.squeeze(y.mean((2, 3), keepdim=True))))
        return x + self.project(y * nn.functional.hardsigmoid(gate))


class TransformerBlock(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, tokens, width = x.shape
        qkv = self.qkv(self.norm1(x)).reshape(batch, tokens, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = nn.functional.scaled_dot_product_attention(query, key, value)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, tokens, width))
        return x + self.down(nn.functional.gelu(self.up(self.norm2(x))))


NETWORKS = {
    "residual": (lambda: nn.Sequential(nn.Conv2d(3, 32, 7, 2, 3), ResidualBlock(32), nn.MaxPool2d(2)), (1, 3, 64, 64)),
    "mobile": (lambda: nn.Sequential(nn.Conv2d(3, 24, 3, 2, 1), MobileBlock(24)), (2, 3, 48, 48)),
    "transformer": (lambda: nn.Sequential(TransformerBlock(64, 4), nn.LayerNorm(64)), (1, 50, 64)),
}


@pytest.fixture(scope="module", params=NETWORKS)
def both_routes(request: pytest.FixtureRequest) -> tuple[OpGraph, OpGraph]:
    make, shape = NETWORKS[request.param]
    module, example = make().eval(), torch.randn(shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's exporter warns of its own deprecations
        program = torch.onnx.export(module, (example,), dynamo=True, verbose=False)
    return load_graph(program.model_proto), load_graph(module, example_inputs=(example,))


def test_flops_and_parameters_agree(both_routes: tuple[OpGraph, OpGraph]):
    through_onnx, through_torch = (total_cost(graph) for graph in both_routes)
    assert through_onnx.flops == pytest.approx(through_torch.flops, rel=0.01)
    assert through_onnx.params == pytest.approx(through_torch.params, rel=0.01)


def test_the_operations_that_compute_are_the_same(both_routes: tuple[OpGraph, OpGraph]):
    moves = {"Transpose", "Reshape", "Split", "Slice", "Gather", "Squeeze", "Unsqueeze"}
    through_onnx, through_torch = (
        Counter(op.op_type for op in graph if op.op_type not in moves) for graph in both_routes
    )
    assert through_onnx == through_torch


@pytest.mark.skipif(not pretrained_names(), reason="no weights are shipped")
def test_predicted_latencies_agree(both_routes: tuple[OpGraph, OpGraph]):
    predictor = Predictor.from_pretrained()
    predictions = predictor.predict(list(both_routes))
    half = len(predictions) // 2
    for through_onnx, through_torch in zip(predictions[:half], predictions[half:], strict=True):
        assert through_onnx.latency_ms == pytest.approx(through_torch.latency_ms, rel=0.03), through_onnx.platform
