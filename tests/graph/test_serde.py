"""Graphs written as JSON come back whole."""

import json

import ml_dtypes
import numpy as np
import pytest

from costmodel.errors import CostModelError, DataError
from costmodel.graph import DType, Op, OpGraph, Value, ValueKind
from costmodel.graph.serde import from_json, to_json


def example():
    values = [
        Value("x", DType.FLOAT32, (2, 3), ValueKind.INPUT),
        Value("w", DType.INT64, (2,), ValueKind.WEIGHT, np.array([3, 2])),
        Value("scale", DType.BFLOAT16, (), ValueKind.WEIGHT, np.array(0.5, ml_dtypes.bfloat16)),
        Value("hidden", DType.FLOAT32, None),
        Value("y", DType.UNKNOWN, ()),
    ]
    attributes = {
        "axis": 1,
        "alpha": 2.0,
        "mode": "linear",
        "pads": (0, 1),
        "scales": (1.0, float("inf")),
        "of": ("a",),
    }
    ops = [
        Op("first", "Resize", ("x", "", "w"), ("hidden", ""), attributes, "my", ("a", "b"), "layer.0"),
        Op("second", "Relu", ("hidden", "scale"), ("y",)),
    ]
    return OpGraph(ops, values, ["x"], ["y"], "net")


def through_text(graph):
    return from_json(json.loads(json.dumps(to_json(graph), allow_nan=False)))


def test_nothing_is_lost():
    graph = example()
    read = through_text(graph)
    assert read == graph
    assert read.name == "net"
    assert type(read.ops[0].attributes["alpha"]) is float
    assert type(read.ops[0].attributes["axis"]) is int
    for name in ("w", "scale"):
        assert read.values[name].data.dtype == graph.values[name].data.dtype
        np.testing.assert_array_equal(read.values[name].data, graph.values[name].data)


def test_not_a_number_survives():
    graph = OpGraph([Op("a", "Relu", (), (), {"alpha": float("nan")})], [], [], [])
    assert np.isnan(through_text(graph).ops[0].attributes["alpha"])


@pytest.mark.parametrize("version", [None, 0, 2, "1"])
def test_other_versions_are_refused(version):
    with pytest.raises(DataError, match=r"schema version .*reads version 1"):
        from_json({**to_json(example()), "schema_version": version})


@pytest.mark.parametrize("key", ["values", "ops", "inputs", "outputs"])
@pytest.mark.parametrize("damage", [None, 7, [["x"]], ["x"], [99]])
def test_a_damaged_document_is_refused(key, damage):
    with pytest.raises(CostModelError):
        from_json({**to_json(example()), key: damage})


def test_elements_that_are_not_numbers_are_refused():
    value = Value("s", DType.STRING, (1,), ValueKind.WEIGHT, np.array(["text"], dtype=object))
    with pytest.raises(DataError, match="'s' are not numbers"):
        to_json(OpGraph([], [value], [], []))
