"""Every node of an fx graph knows its milliseconds, whatever kind of graph it is."""

from __future__ import annotations

import pytest
import torch
from torch import fx, nn
from torch.fx.passes.infra.pass_manager import PassManager

from costmodel.errors import UnsupportedModelError, UsageError
from costmodel.integrations.torch import LatencyPass, profile
from costmodel.predictor import Predictor


class Plain(nn.Module):
    """Calls a module, a function and a method."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(4, 8, 3), nn.BatchNorm2d(8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.norm(self.conv(x))).mean((2, 3))


def latencies_ms(graph: fx.Graph) -> dict[str, dict[str, float]]:
    return {node.name: node.meta["predicted_latency_ms"] for node in graph.nodes}


def test_nodes_of_a_symbolic_trace_have_the_latencies_of_the_module(image: torch.Tensor, predictor: Predictor):
    module = Plain().to("meta")
    traced = fx.symbolic_trace(module)
    result = LatencyPass(image, predictor=predictor)(traced)
    assert result.graph_module is traced
    assert not result.modified
    by_node = latencies_ms(traced.graph)
    assert list(by_node) == ["x", "conv", "norm", "relu", "mean", "output"]
    profiled = profile(module, image, predictor=predictor)
    for platform, prediction in profiled.predictions.items():
        assert sum(times[platform] for times in by_node.values()) == pytest.approx(prediction.latency_ms)
        assert by_node["conv"][platform] > 0
        assert by_node["x"][platform] == by_node["norm"][platform] == 0  # folded into the convolution


def test_a_graph_of_aten_calls_needs_no_inputs(network: nn.Module, image: torch.Tensor, predictor: Predictor):
    exported = torch.export.export(network.eval(), (image,), strict=False).module()
    assert isinstance(exported, fx.GraphModule)
    LatencyPass(predictor=predictor)(exported)
    by_node = latencies_ms(exported.graph)
    profiled = profile(network, image, predictor=predictor)
    for platform, prediction in profiled.predictions.items():
        assert sum(times[platform] for times in by_node.values()) == pytest.approx(prediction.latency_ms)


def test_it_is_a_pass_of_a_pass_manager(image: torch.Tensor, predictor: Predictor):
    traced = fx.symbolic_trace(Plain().to("meta"))
    manager = PassManager(passes=[LatencyPass(image, predictor=predictor)])
    assert all(latencies_ms(manager(traced).graph_module.graph).values())


def test_the_module_stays_as_it_was(image: torch.Tensor, predictor: Predictor):
    module = Plain().train()
    traced = fx.symbolic_trace(module)
    LatencyPass(torch.ones(2, 4, 8, 8), predictor=predictor)(traced)
    assert traced.training
    assert traced.norm.num_batches_tracked == 0


def test_without_inputs_the_graphs_inputs_are_named(predictor: Predictor):
    with pytest.raises(UsageError, match=r"the graph's inputs x carry no meta\['val'\]"):
        LatencyPass(predictor=predictor)(fx.symbolic_trace(Plain()))


def test_the_node_that_cannot_be_traced_is_named(predictor: Predictor):
    with pytest.raises(UnsupportedModelError, match="fx node 'conv' cannot be traced"):
        LatencyPass(torch.zeros(2, 7, 8, 8), predictor=predictor)(fx.symbolic_trace(Plain()))
