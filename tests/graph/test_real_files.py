"""Networks as others exported them: the files that come with onnx and onnxruntime, against published figures."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import util
from pathlib import Path

import onnx
import pytest

from costmodel.graph import OpGraph, load_graph, total_cost

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"


@dataclass(frozen=True)
class Published:
    params_millions: float
    gmacs: float | None = None


# Figures of torchvision where it has the network; AlexNet (224 pixels, grouped) and ZFNet added up by hand, layer by
# layer; BN-Inception (inception_v2) as its paper has it; the others from the size of their files in the model zoo.
NETWORKS = {
    "bvlc_alexnet": Published(60.97, 0.654),
    "densenet121": Published(7.98, 2.83),
    "inception_v1": Published(7.0),
    "inception_v2": Published(11.2, 2.03),
    "resnet50": Published(25.56, 4.09),
    "shufflenet": Published(1.38),
    "squeezenet": Published(1.235, 0.349),
    "vgg19": Published(143.67, 19.6),
    "zfnet512": Published(87.3, 1.482),
}


def unknown_shapes(graph: OpGraph) -> list[str]:
    return [value.name for op in graph for value in graph.results(op) if value.shape is None]


def test_every_light_model_is_here():
    assert {path.stem.removeprefix("light_") for path in LIGHT.glob("*.onnx")} == set(NETWORKS)


@pytest.mark.parametrize(("name", "published"), NETWORKS.items(), ids=NETWORKS)
def test_costs_are_those_published(name: str, published: Published):
    graph = load_graph(LIGHT / f"light_{name}.onnx")
    cost = total_cost(graph)
    assert unknown_shapes(graph) == []
    assert cost.params / 1e6 == pytest.approx(published.params_millions, rel=0.01)
    if published.gmacs is not None:
        assert cost.flops / 2e9 == pytest.approx(published.gmacs, rel=0.015)


@pytest.mark.parametrize("name", NETWORKS)
def test_eight_images_are_eight_times_the_work_of_one(name: str):
    one, eight = (load_graph(LIGHT / f"light_{name}.onnx", batch=batch) for batch in (1, 8))
    assert eight.batch == 8
    assert unknown_shapes(eight) == []
    assert total_cost(eight).flops == 8 * total_cost(one).flops
    assert total_cost(eight).params == total_cost(one).params


@pytest.fixture
def datasets() -> Path:
    found = util.find_spec("onnxruntime")
    if found is None or found.origin is None:
        pytest.skip("onnxruntime is not installed")
    return Path(found.origin).parent / "datasets"


@pytest.mark.parametrize(("name", "flops", "params"), [("mul_1", 6, 6), ("sigmoid", 60, 0)])
def test_one_operation_of_onnxruntime(datasets: Path, name: str, flops: int, params: int):
    graph = load_graph(datasets / f"{name}.onnx")
    assert len(graph) == 1
    assert unknown_shapes(graph) == []
    assert (total_cost(graph).flops, total_cost(graph).params) == (flops, params)


def test_operators_of_classical_learning_are_read_as_some_operation(datasets: Path):
    graph = load_graph(datasets / "logreg_iris.onnx")
    classifier, *_ = graph.ops
    assert [op.qualified_type for op in graph] == [
        "ai.onnx.ml::LinearClassifier",
        "ai.onnx.ml::Normalizer",
        "ai.onnx.ml::ZipMap",
    ]
    assert [value.shape for value in graph.results(classifier)] == [(3,), (3, 3)]
