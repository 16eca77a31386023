from __future__ import annotations

import numpy as np
import torch
from torch import nn

from costmodel.features import FEATURE_NAMES, build_features, feature_schema_hash
from costmodel.graph import VOCABULARY, DType, Op, OpGraph, Value, ValueKind, load_graph


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, stride=2, padding=1)
        self.depthwise = nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.head = nn.Linear(16, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(image))
        x = x + torch.relu(self.depthwise(x))
        return self.head(x.flatten(2).transpose(1, 2)).softmax(-1).mean(1)


def features_at(batch: int):
    return build_features(load_graph(Net(), example_inputs=(torch.zeros(batch, 3, 32, 32),)))


def test_the_batch_is_divided_out():
    one, eight = features_at(1), features_at(8)
    assert (one.batch, eight.batch) == (1, 8)
    np.testing.assert_array_equal(one.op_types, eight.op_types)
    np.testing.assert_allclose(one.work, eight.work, rtol=1e-6)
    np.testing.assert_allclose(one.tokens, eight.tokens, atol=1e-6)


def test_columns_say_what_they_are_called():
    features = features_at(1)
    types = [VOCABULARY[index] for index in features.op_types]
    column = {name: features.tokens[:, index] for index, name in enumerate(FEATURE_NAMES)}
    depthwise = [row for row, kind in enumerate(types) if kind == "Conv"][1]
    assert column["is_depthwise"].nonzero()[0].tolist() == [depthwise]
    assert column["reads_input"].nonzero()[0].tolist() == [types.index("Conv")]
    assert types[int(column["writes_output"].nonzero()[0][0])] == "ReduceMean"
    assert 2 ** (8 * column["depth"][types.index("Conv")]) - 1 == np.float32(27).round()


def test_edges_run_through_views():
    values = [Value("x", DType.FLOAT32, (4, 4), ValueKind.INPUT)]
    values += [Value(name, DType.FLOAT32, shape) for name, shape in (("a", (4, 4)), ("b", (16,)), ("c", (16,)))]
    ops = [Op("relu", "Relu", ("x",), ("a",)), Op("view", "Reshape", ("a",), ("b",)), Op("exp", "Exp", ("b",), ("c",))]
    features = build_features(OpGraph(ops, values, ["x"], ["c"]))
    assert features.op_index.tolist() == [0, 2]
    assert features.edges.tolist() == [[0, 1]]


def test_an_operation_of_unknown_shape_keeps_its_row():
    ops = [Op("op", "Mystery", ("x",), ("y",), domain="custom")]
    values = [Value("x", DType.FLOAT32, (4,), ValueKind.INPUT), Value("y", DType.FLOAT32, None)]
    features = build_features(OpGraph(ops, values, ["x"], ["y"]))
    assert len(features) == 1
    assert np.isfinite(features.tokens).all()


def test_the_schema_hash_follows_the_schema(monkeypatch):
    before = feature_schema_hash()
    monkeypatch.setattr("costmodel.features.tokens.FEATURE_NAMES", (*FEATURE_NAMES, "another"))
    assert feature_schema_hash() != before
