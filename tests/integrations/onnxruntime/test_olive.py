"""A search of Olive's on predicted latencies, then the best of it measured."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from costmodel.errors import UnknownNameError, UsageError
from costmodel.integrations.onnxruntime import ModelFormat, Variant
from costmodel.pretrained import save_bundle

EXAMPLE = Path(__file__).parents[3] / "examples" / "olive_search.json"

pytest.importorskip("olive", reason="Olive is not installed: pip install '.[olive]'")
pytestmark = pytest.mark.filterwarnings("default")  # of Olive's own


@pytest.fixture
def search(network, predictor, tmp_path, monkeypatch):
    """Runs the example's search, on the network of the tests and the board that its weights know."""
    monkeypatch.setenv("OLIVE_DISABLE_TELEMETRY", "1")
    monkeypatch.chdir(tmp_path)
    network.rename("model.onnx")
    save_bundle(predictor.bundle, tmp_path / "weights")

    def run(passes=None, **type_args):
        from costmodel.integrations.onnxruntime.olive import run_workflow

        workflow = json.loads(EXAMPLE.read_text())
        known = {"reference": "model.onnx", "platform": "board-ort1.32-fp32-1t", "weights": "weights"}
        workflow["evaluators"]["predicted"]["type_args"] = known | type_args
        workflow["passes"] = passes or workflow["passes"]
        return run_workflow(workflow)

    return run


def test_a_search_ends_in_the_session_that_is_predicted_to_be_fastest(search, predictor):
    found = search()
    platforms = {99: "board-ort1.32-fp32-1t", 2: "board-ort1.32-fp32-extended-1t"}
    predicted = {level: predictor.predict("model.onnx", platform) for level, platform in platforms.items()}
    fastest = min(predicted, key=lambda level: predicted[level].latency_ms)
    metrics = found.get_best_candidate().metrics_value

    assert found.get_best_candidate().get_inference_config()["session_options"]["graph_optimization_level"] == fastest
    assert metrics["latency-avg"]["value"] == pytest.approx(predicted[fastest].latency_ms)
    assert metrics["latency-min"]["value"] == pytest.approx(predicted[fastest].low_ms)
    assert metrics["latency-max"]["value"] == pytest.approx(predicted[fastest].high_ms)


def test_the_front_is_measured_in_its_sessions(search):
    from costmodel.integrations.onnxruntime.olive import measure_front

    tied = {"session": {"type": "CostModelSession", "graph_optimization": "none", "threads": [1, 2]}}
    rows = measure_front(search(tied), visits=1)

    assert {row.variant for row in rows} == {Variant(graph_optimization="none", threads=count) for count in (1, 2)}
    assert 0 < rows[0].measured_ms <= rows[1].measured_ms
    assert not any(row.reason for row in rows)


def test_steps_that_share_a_quantised_model_are_all_evaluated(search):
    quantize = {
        "type": "OnnxDynamicQuantization",
        "precision": "int8",
        "per_channel": True,
        "reduce_range": False,
        "quant_preprocess": True,
    }
    session = {"type": "CostModelSession", "threads": [1, 2]}
    found = search({"quantize": quantize, "session": session | {"graph_optimization": "all"}})

    threads = [
        model.get_inference_config()["session_options"]["intra_op_num_threads"] for model in found.get_output_models()
    ]
    assert sorted(threads) == [1, 2]


def model_of(*op_types):
    nodes = [helper.make_node(op_type, ["x"], ["y"]) for op_type in op_types]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    return helper.make_model(helper.make_graph(nodes, "g", values[:1], values[1:]))


def test_the_variant_of_a_model():
    from costmodel.integrations.onnxruntime.olive.variant_of_model import variant_of

    options = {"graph_optimization_level": 2, "intra_op_num_threads": 4}
    entries = {"extra_session_config": {"session.disable_prepacking": "1"}}

    assert variant_of(model_of("Conv"), {}) == Variant()
    assert variant_of(model_of("Conv", "QuantizeLinear"), {"session_options": options}) == Variant(
        ModelFormat.INT8_QDQ, "extended", 4
    )
    assert variant_of(model_of("ConvInteger"), {"session_options": entries}) == Variant(
        ModelFormat.INT8_DYNAMIC, session_config=(("session.disable_prepacking", "1"),)
    )
    with pytest.raises(UnknownNameError, match="graph optimisation '7'"):
        variant_of(model_of("Conv"), {"session_options": {"graph_optimization_level": 7}})


def evaluated(model, metric=None, **type_args):
    from olive.evaluator.metric import Metric
    from olive.model import ONNXModelHandler

    from costmodel.integrations.onnxruntime.olive import CostModelLatency

    latency = {"name": "latency", "type": "latency", "sub_types": [{"name": "avg", "priority": 1}]}
    evaluator = CostModelLatency(weights="weights", **type_args)
    return evaluator.evaluate(ONNXModelHandler(model), [Metric(**(metric or latency))])


@pytest.mark.parametrize(
    ("metric", "type_args", "message"),
    [
        (None, {"platform": "unknown"}, "platform 'unknown'"),
        (None, {}, "costmodel platforms"),
        (
            {"name": "size", "type": "size_on_disk", "sub_types": [{"name": "bytes", "priority": 1}]},
            {"platform": "board-ort1.32-fp32-1t"},
            "metrics of type latency",
        ),
        (
            {"name": "latency", "type": "latency", "sub_types": [{"name": "p99", "priority": 1}]},
            {"platform": "board-ort1.32-fp32-1t"},
            "avg, min, max, not 'p99'",
        ),
    ],
)
def test_what_cannot_be_predicted_is_told(network, predictor, tmp_path, monkeypatch, metric, type_args, message):
    monkeypatch.chdir(tmp_path)
    save_bundle(predictor.bundle, tmp_path / "weights")

    with pytest.raises(UsageError, match=message):
        evaluated(network, metric, **type_args)


def test_a_quantised_model_needs_the_network_that_it_comes_from(predictor, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_bundle(predictor.bundle, tmp_path / "weights")
    onnx.save(model_of("QuantizeLinear"), "quantised.onnx")

    with pytest.raises(UsageError, match="name its file as 'reference'"):
        evaluated("quantised.onnx", platform="board-ort1.32-fp32-1t")
