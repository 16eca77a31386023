"""Latencies in an ONNX file are those of the profile, and the file stays what it was."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from costmodel.errors import DataError
from costmodel.integrations.torch import annotate_onnx, profile
from costmodel.predictor import Predictor


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A convolution with an activation, each under its own name."""
    return written(tmp_path / "model.onnx", "conv", "relu")


def written(path: Path, *names: str) -> Path:
    def value(name: str, *shape: int) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    nodes = [
        helper.make_node("Conv", ["x", "w"], ["y"], names[0], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["y"], ["z"], names[1]),
    ]
    weight = helper.make_tensor("w", TensorProto.FLOAT, (4, 4, 3, 3), [0.5] * 144)
    graph = helper.make_graph(nodes, "tiny", [value("x", 1, 4, 8, 8)], [value("z", 1, 4, 8, 8)], [weight])
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), path)
    return path


def properties(message: onnx.ModelProto | onnx.NodeProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in message.metadata_props}


def test_nodes_tell_their_latencies(file: Path, tmp_path: Path, predictor: Predictor):
    profiled = profile(str(file), predictor=predictor)
    assert annotate_onnx(profiled, file, tmp_path / "annotated.onnx") == 2
    annotated = onnx.load(tmp_path / "annotated.onnx")
    onnx.checker.check_model(annotated)
    for node, row in zip(annotated.graph.node, profiled.operations, strict=True):
        for platform, time in row.work.times.items():
            told = float(properties(node)[f"predicted_latency_ms[{platform}]"])
            assert told == pytest.approx(time.latency_ms, rel=1e-5)
    assert len(properties(annotated)) == len(profiled.platforms)
    assert annotated.graph.initializer[0] == onnx.load(file).graph.initializer[0]


def test_annotated_again_the_latencies_take_the_place_of_the_old_ones(file: Path, predictor: Predictor):
    profiled = profile(str(file), predictor=predictor)
    for _ in range(2):
        annotate_onnx(profiled, file, file)
    assert len(properties(onnx.load(file).graph.node[0])) == len(profiled.platforms)


def test_nodes_without_a_name_of_their_own_are_counted(
    tmp_path: Path, predictor: Predictor, caplog: pytest.LogCaptureFixture
):
    file = written(tmp_path / "model.onnx", "conv", "")
    assert annotate_onnx(profile(str(file), predictor=predictor), file, file) == 1
    assert "1 of 2 operations have no node of a name of its own" in caplog.text


def test_a_profile_of_another_file_is_refused(file: Path, tmp_path: Path, predictor: Predictor):
    other = written(tmp_path / "other.onnx", "first", "second")
    with pytest.raises(DataError, match=r"no node of .*model.onnx is in the profile of"):
        annotate_onnx(profile(str(other), predictor=predictor), file, tmp_path / "annotated.onnx")
    assert not (tmp_path / "annotated.onnx").exists()


def test_a_file_that_is_not_there_is_named(file: Path, tmp_path: Path, predictor: Predictor):
    with pytest.raises(DataError, match=r"cannot write .*missing.onnx"):
        annotate_onnx(profile(str(file), predictor=predictor), tmp_path / "missing.onnx", tmp_path / "annotated.onnx")
