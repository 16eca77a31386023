"""Profiles of real sessions: which kernels ran, how long, and whose they are."""

import json
from collections import Counter

import onnx
import pytest
from onnx import TensorProto, helper

from costmodel.calibration import FamilyNetwork, OnnxFile, OnnxRuntimeMeasurer
from costmodel.calibration.profiling import ModelProfile, Profiler
from costmodel.calibration.profiling.events import read_events
from costmodel.calibration.profiling.kernel_nodes import KernelNodes, name_nodes
from costmodel.calibration.testing import convolution_model
from costmodel.cli import main
from costmodel.errors import DataError, MeasurementError


@pytest.fixture(scope="module")
def profiles():
    """A network with all optimisations, and with none."""
    network = FamilyNetwork("squeezenet", 3)
    found = {}
    for level in ("all", "none"):
        with Profiler(OnnxRuntimeMeasurer(graph_optimization=level), platform="here") as profiler:
            found[level] = profiler.profile(network, runs=4)
    return found


def test_without_optimisation_every_kernel_is_a_node_of_the_model(profiles):
    nodes = FamilyNetwork("squeezenet", 3).load().graph.node
    kernels = profiles["none"].kernels

    assert profiles["none"].mapped_share == pytest.approx(1)
    assert Counter(kernel.node for kernel in kernels) == Counter(node.name for node in nodes)
    assert {kernel.node: kernel.op_type for kernel in kernels} == {node.name: node.op_type for node in nodes}


def test_kernels_of_a_rewritten_graph_find_their_nodes(profiles):
    profile = profiles["all"]
    nodes = {node.name for node in FamilyNetwork("squeezenet", 3).load().graph.node}

    assert any(kernel.name.endswith("_nchwc") for kernel in profile.kernels), "blocked layout is what is rewritten"
    assert profile.mapped_share > 0.75
    assert {time.node for time in profile.by_node()} <= nodes
    assert {kernel.op_type for kernel in profile.kernels if kernel.node is None} <= {"ReorderInput", "Transpose"}


def test_kernels_add_up_to_a_little_less_than_a_run(profiles):
    for profile in profiles.values():
        assert 0 < profile.kernels_ms <= profile.run_ms
        assert sum(profile.by_op_type().values()) == pytest.approx(profile.kernels_ms)
        assert next(iter(profile.by_op_type())) == "Conv"
        assert profile.platform == "here"


def test_models_that_do_not_run_are_refused_by_name(tmp_path):
    model = convolution_model(batch=1)
    model.graph.node[0].op_type = "Convolvo"
    onnx.save(model, tmp_path / "odd.onnx")
    with Profiler(OnnxRuntimeMeasurer()) as profiler, pytest.raises(MeasurementError, match=r"odd: .*Convolvo"):
        profiler.profile(OnnxFile.at(tmp_path / "odd.onnx"))


def event(name, start, length, category="Node", index="0"):
    arguments = {"op_name": name.removesuffix("_kernel_time"), "node_index": index}
    return {"cat": category, "name": name, "ts": start, "dur": length, "args": arguments}


def test_the_first_run_and_the_slow_ones_do_not_count_and_inner_kernels_count_once(tmp_path):
    events = []
    for start, scale in ((0, 9), (1000, 1), (2000, 5), (3000, 1)):
        events.append(event("model_run", start, 100 * scale, "Session"))
        events.append(event("Loop_kernel_time", start, 90 * scale))
        events += [event("Relu_kernel_time", start + number * 30 * scale, 20 * scale, index="1") for number in range(2)]
        events.append(event("Tanh_kernel_time", start + 92 * scale, 4 * scale, index="2"))
    (tmp_path / "profile.json").write_text(json.dumps(events))

    read = read_events(tmp_path / "profile.json")

    assert (read.runs, read.run_ms) == (2, 0.1)
    times_ms = {kernel.op_type: kernel.time_ms for kernel in read.kernels}
    assert times_ms == pytest.approx({"Loop": 0.05, "Relu": 0.04, "Tanh": 0.004})


@pytest.mark.parametrize("content", ["no JSON", "[]", '[{"name": "model_run", "ts": 0, "dur": 1}]', "[1]"])
def test_files_that_are_no_profile(tmp_path, content):
    (tmp_path / "profile.json").write_text(content)
    with pytest.raises(DataError, match=r"profile.json is no profile"):
        read_events(tmp_path / "profile.json")


def test_names_results_and_what_optimisers_append_lead_to_a_node():
    def graph(*nodes):
        return helper.make_graph(
            [helper.make_node("Relu", ["x"], [result], name) for name, result in nodes], "g", [], []
        )

    nodes = KernelNodes(
        graph(("a", "ra"), ("b", "rb"), ("c.mul", "rc")), graph(("fused", "rb"), ("a_nchwc", "token_0"))
    )

    found = {
        kernel: nodes.node_of(kernel)
        for kernel in ("a", "fused", "a_nchwc", "a_token_12_nchwc", "c.mul/QuickGeluFusion/", "ReorderInput_token_3")
    }

    assert list(found.values()) == ["a", "b", "a", "a", "c.mul", None]


def test_nodes_without_a_name_get_one_of_their_own():
    nodes = [helper.make_node("Relu", ["x"], [result], name) for result, name in (("a", "n"), ("n", ""), ("b", "n"))]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "b")]
    model = helper.make_model(helper.make_graph(nodes, "g", values[:1], values[1:]))

    name_nodes(model)

    assert [node.name for node in model.graph.node] == ["n", "n_", "n__"]


def test_measure_writes_a_profile_beside_each_latency(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    onnx.save(convolution_model(), "conv.onnx")
    with pytest.raises(SystemExit) as leaving:
        main(["measure", "conv.onnx", "--visits", "1", "--batch", "2", "-p", "here", "--profile", "profiles"])
    (kernel,) = (k for k in ModelProfile.load(tmp_path / "profiles" / "conv.json").kernels if k.op_type == "Conv")

    assert not leaving.value.code, capsys.readouterr().err
    assert kernel.node == "y", "the only convolution has no name, and makes y"


def test_profiles_are_of_onnxruntime(capsys):
    with pytest.raises(SystemExit) as leaving:
        main(["measure", "--family", "resnet:1", "--runtime", "torch", "--profile", "profiles"])

    assert leaving.value.code == 2
    assert "--profile goes with --runtime onnxruntime" in capsys.readouterr().err


def test_files_that_are_no_kept_profile(tmp_path, profiles):
    path = tmp_path / "kept.json"
    profiles["all"].save(path)
    assert ModelProfile.load(path) == profiles["all"]

    path.write_text("{}")
    with pytest.raises(DataError, match="measure --profile"):
        ModelProfile.load(path)
    with pytest.raises(DataError, match="cannot read the profile"):
        ModelProfile.load(tmp_path / "missing.json")
    with pytest.raises(DataError, match="cannot write the profile"):
        profiles["all"].save(path / "below" / "a-file.json")
