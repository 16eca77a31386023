"""Models and a predictor that tests of this room share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from costmodel.platforms import named_platform
from costmodel.predictor import Predictor
from costmodel.pretrained import Bundle

BOARD = "board-ort1.32-fp32-1t"


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """A file with two convolutions, an activation and a product, its batch open."""
    path = tmp_path / "network.onnx"
    onnx.save(convolutions(), path)
    return path


@pytest.fixture
def activations(tmp_path: Path) -> Path:
    """A file with nothing in it to quantise."""
    path = tmp_path / "activations.onnx"
    nodes = [helper.make_node("Relu", ["x"], ["a"]), helper.make_node("Relu", ["a"], ["y"])]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "activations", values[:1], values[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.fixture
def predictor(untrained_bundle: Bundle) -> Predictor:
    """It was never trained, and has the default session and two variants of a board as platforms."""
    names = (BOARD, "board-ort1.32-int8-qdq-1t", "board-ort1.32-fp32-extended-1t")
    platforms = tuple(named_platform(name) for name in names)
    config = untrained_bundle.config.model_copy(update={"platforms": platforms})
    return Predictor(Bundle(config, untrained_bundle.members))


def convolutions(batch: int | str = "batch", size: int = 16) -> onnx.ModelProto:
    generator = np.random.default_rng(0)
    weights = {"w1": (16, 3, 3, 3), "w2": (16, 16, 3, 3), "w3": (16, 10)}
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], "first", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"], "active"),
        helper.make_node("Conv", ["b", "w2"], ["c"], "second", pads=[1, 1, 1, 1]),
        helper.make_node("GlobalAveragePool", ["c"], ["d"], "pool"),
        helper.make_node("Flatten", ["d"], ["e"], "flat"),
        helper.make_node("MatMul", ["e", "w3"], ["y"], "classes"),
    ]
    graph = helper.make_graph(
        nodes,
        "convolutions",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 3, size, size])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 10])],
        [
            numpy_helper.from_array((generator.standard_normal(shape) / 4).astype(np.float32), name)
            for name, shape in weights.items()
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
