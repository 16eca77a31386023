"""A network has the latency it has, whichever way it came into Relax."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from torch import nn

pytest.importorskip("tvm", reason="what is read is TVM's: pip install '.[tvm]'")

from tvm.relax.frontend import nn as relax_nn
from tvm.relax.frontend.onnx import from_onnx
from tvm.relax.frontend.torch import from_exported_program

from costmodel.data.families import FAMILIES, generate
from costmodel.errors import UnknownNameError, UnsupportedModelError, UsageError
from costmodel.graph import OpGraph, load_graph, total_cost
from costmodel.integrations.tvm.estimate import estimate, load_relax
from costmodel.predictor import Predictor

PLATFORM = "epyc-f25m1-ort1.32-fp32-1t"


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor.from_pretrained()


@pytest.fixture
def rough(untrained_bundle) -> Predictor:
    """One that predicts at once, and anything."""
    return Predictor(untrained_bundle)


def types_of(graph: OpGraph) -> Counter[str]:
    return Counter(found.qualified_type for found in graph)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("family", "seed"),
    [*((family, 0) for family in FAMILIES), ("mobilenet_v2", 1)],  # of the last, TVM writes clips as TIR
)
def test_a_network_from_onnx_is_the_one_that_onnx_has(family, seed, predictor):
    model = generate(family, seed)
    expected = load_graph(model)

    module = from_onnx(model)
    graph = load_relax(module)

    cost, expected_cost = total_cost(graph), total_cost(expected)
    assert cost.flops == pytest.approx(expected_cost.flops, rel=0.01)
    assert cost.params == pytest.approx(expected_cost.params, rel=0.01)
    assert cost.bytes_moved == pytest.approx(expected_cost.bytes_moved, rel=0.01)
    assert types_of(graph) == types_of(expected)
    predicted, from_file = estimate(module, PLATFORM, predictor=predictor), predictor.predict(expected, PLATFORM)
    assert predicted.latency_ms == pytest.approx(from_file.latency_ms, rel=0.03)


class Mixed(nn.Module):
    """Convolutions, a linear layer on tokens, attention: what decompositions of PyTorch take apart."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 16, 3, stride=2, padding=1), nn.BatchNorm2d(16)
        self.depthwise = nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.tokens, self.layer_norm = nn.Linear(16, 32), nn.LayerNorm(32)
        self.attention = nn.MultiheadAttention(32, 4, batch_first=True)
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.silu(self.norm(self.stem(x)))
        x = nn.functional.hardswish(self.depthwise(x)) + nn.functional.mish(x)
        x = nn.functional.max_pool2d(x, 2).flatten(2).transpose(1, 2)
        x = self.layer_norm(nn.functional.gelu(self.tokens(x)))
        x = x + self.attention(x, x, x, need_weights=False)[0]
        return torch.softmax(self.head(x.mean(1)), -1)


@pytest.mark.filterwarnings("ignore")  # what torch.export and TVM say of each other's decompositions
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("weights_as_parameters", [False, True])
def test_a_network_from_torch_is_the_one_that_torch_has(batch, weights_as_parameters):
    program = torch.export.export(Mixed().eval(), (torch.randn(batch, 3, 32, 32),))

    graph = load_relax(from_exported_program(program, keep_params_as_input=weights_as_parameters))

    expected = load_graph(program)
    assert types_of(graph) == types_of(expected)
    assert total_cost(graph) == total_cost(expected)
    assert graph.batch == batch
    assert len(graph.inputs) == 1


class Perceptron(relax_nn.Module):
    def __init__(self) -> None:
        self.first, self.norm, self.second = relax_nn.Linear(64, 128), relax_nn.LayerNorm(128), relax_nn.Linear(128, 10)

    def forward(self, x: Any) -> Any:
        return self.second(relax_nn.op.silu(self.norm(self.first(x))))


@pytest.mark.parametrize("debug", [False, True], ids=["plain", "with effects"])
def test_a_network_of_relax_itself_has_its_parameters_as_weights(debug):
    spec = {"forward": {"x": relax_nn.spec.Tensor([1, 5, 64], "float32")}}
    module = Perceptron().export_tvm(spec=spec, debug=debug)[0]

    graph = load_relax(module, function="forward")

    assert [found.op_type for found in graph] == ["Gemm", "LayerNormalization", "Swish", "Gemm"]
    assert graph.inputs == ("x",)
    cost = total_cost(graph)
    assert cost.params == 64 * 128 + 128 + 2 * 128 + 128 * 10 + 10
    assert cost.flops == 5 * (2 * 64 * 128 + 128 + 7 * 128 + 2 * 128 + 2 * 128 * 10 + 10)


# --- Asking ---


def network() -> Any:
    return from_onnx(generate("squeezenet", 0))


def test_an_estimate_is_the_predictors_answer_with_variables_for_sources(rough):
    module = network()
    prediction = estimate(module, "*i9*", predictor=rough)

    graph = load_relax(module, name="squeezenet")
    assert prediction.platform == rough.platforms.find("*i9*").name
    assert prediction.latency_ms == rough.predict(graph, "*i9*").latency_ms
    assert (prediction.model, graph.name) == ("main", "squeezenet")
    assert {source for found in prediction.per_op for source in found.sources} <= {
        source for found in graph for source in found.sources
    }
    assert all("%" in source for found in prediction.per_op for source in found.sources)


def test_without_a_predictor_the_weights_of_the_package_answer(predictor):
    module = network()

    assert estimate(module, PLATFORM).latency_ms == estimate(module, PLATFORM, predictor=predictor).latency_ms


def test_what_cannot_be_answered_is_an_error(rough):
    module = network()

    with pytest.raises(UnknownNameError, match="no-such-platform"):
        estimate(module, "no-such-platform", predictor=rough)
    with pytest.raises(UsageError, match="no Relax function 'other'"):
        estimate(module, PLATFORM, predictor=rough, function="other")
    from tvm import relax

    with pytest.raises(UnsupportedModelError, match="legalised"):
        estimate(relax.transform.LegalizeOps()(module), "*i9*", predictor=rough)
