from __future__ import annotations

import pytest

from costmodel.graph.dtypes import DType
from costmodel.graph.passes import DropDead, FuseQdq

IMAGE = (1, 4, 8, 8)


def quantised(g, shape, *, weight=False, dtype=DType.INT8):
    return g.weight(*shape, dtype=dtype) if weight else g.input(*shape, dtype=dtype)


def dequantise(g, x, *, zero_point=True):
    operands = [x, g.number(0.1), *([g.weight(dtype=DType.INT8)] if zero_point else [])]
    return g.op("DequantizeLinear", *operands, shape=g.values[x].shape, dtype=DType.FLOAT32)


def quantise(g, x):
    return g.op(
        "QuantizeLinear", x, g.number(0.1), g.weight(dtype=DType.INT8), shape=g.values[x].shape, dtype=DType.INT8
    )


@pytest.mark.parametrize("rectified", [True, False])
def test_a_convolution_between_pairs_becomes_qlinear(g, run, rectified):
    x, w, b = (
        quantised(g, IMAGE),
        quantised(g, (4, 4, 1, 1), weight=True),
        quantised(g, (4,), weight=True, dtype=DType.INT32),
    )
    inner = g.op("Conv", *(dequantise(g, value) for value in (x, w, b)), shape=IMAGE, pads=(0, 0, 0, 0))
    y = quantise(g, g.op("Relu", inner) if rectified else inner)
    (conv,) = run(FuseQdq(), g.graph(y))
    assert (conv.op_type, conv.outputs, conv.attributes) == ("QLinearConv", (y,), {"pads": (0, 0, 0, 0)})
    assert len(conv.inputs) == 9
    assert (conv.inputs[0], conv.inputs[3], conv.inputs[8]) == (x, w, b)
    assert len(conv.sources) == len(g.ops)


def test_a_product_and_a_sum_between_pairs(g, run, types):
    a, b = quantised(g, (3, 3)), quantised(g, (3, 3))
    product = quantise(g, g.op("MatMul", dequantise(g, a, zero_point=False), dequantise(g, b)))
    y = quantise(g, g.op("Add", dequantise(g, product), dequantise(g, a)))
    graph = run(FuseQdq(), g.graph(y))
    assert types(graph) == ["QLinearMatMul", "Add"]
    assert len(graph.ops[0].inputs) == 8
    assert graph.ops[0].inputs[2] == ""
    assert graph.ops[0].inputs[3] == b
    assert graph.ops[1].inputs == (product, a)


def test_a_shared_dequantised_tensor_stays_for_its_other_readers(g, run, types):
    shared = dequantise(g, quantised(g, (3, 3)))
    y = quantise(g, g.op("Sigmoid", shared))
    graph = run(FuseQdq(), g.graph(y, g.op("Exp", shared)))
    assert types(graph) == ["DequantizeLinear", "Sigmoid", "Exp"]
    assert graph.ops[1].sources == ("node_sigmoid1", "node_quantizelinear2")


def test_a_tensor_shared_by_quantised_operations_only_dies(g, run, types):
    shared = dequantise(g, quantised(g, (3, 3)))
    graph = run(FuseQdq(), g.graph(quantise(g, g.op("Sigmoid", shared)), quantise(g, g.op("Relu", shared))))
    assert types(run(DropDead(), graph)) == ["Sigmoid", "Relu"]


def test_what_does_not_match_in_full_stays(g, run):
    x = quantised(g, (3, 3))
    weight_only = g.op("MatMul", g.input(3, 3), dequantise(g, quantised(g, (3, 3), weight=True)))
    not_quantised_again = g.op("Sigmoid", dequantise(g, x))
    mixed = quantise(g, g.op("Add", dequantise(g, x), g.input(3, 3)))
    seen = g.op("Mul", dequantise(g, x), dequantise(g, x))
    scale = g.op("Sigmoid", dequantise(g, g.input(dtype=DType.INT8)))
    sets_the_scale = g.op("QuantizeLinear", g.input(3, 3), scale, dtype=DType.INT8)
    graph = g.graph(weight_only, not_quantised_again, mixed, quantise(g, seen), seen, sets_the_scale)
    assert run(FuseQdq(), graph) is graph
