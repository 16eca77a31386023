"""The rules of :class:`OpGraph`."""

import numpy as np
import pytest

from costmodel.errors import GraphError
from costmodel.graph import DType, Op, OpGraph, Value, ValueKind


def value(name, shape=(2,), kind=ValueKind.ACTIVATION):
    return Value(name, DType.FLOAT32, shape, kind)


def op(name, inputs, outputs):
    return Op(name, "Any", tuple(inputs), tuple(outputs))


def diamond(*order):
    ops = {
        "top": op("top", "x", "a"),
        "left": op("left", "a", "b"),
        "right": op("right", "a", "c"),
        "join": op("join", "bc", "y"),
    }
    values = [value("x", kind=ValueKind.INPUT), *map(value, "abcy")]
    return OpGraph([ops[name] for name in order or ops], values, ["x"], ["y"])


def test_order_is_kept_where_it_is_topological_and_mended_where_it_is_not():
    assert [op.name for op in diamond("top", "right", "left", "join")] == ["top", "right", "left", "join"]
    mended = [op.name for op in diamond("join", "left", "right", "top")]
    assert mended[0] == "top"
    assert mended[-1] == "join"


def test_edges_join_producers_and_consumers():
    np.testing.assert_array_equal(diamond().edges, [[0, 1], [0, 2], [1, 3], [2, 3]])
    assert diamond().consumers["a"] == (1, 2)
    assert diamond().producers["y"] == 3


@pytest.mark.parametrize(
    ("ops", "message"),
    [
        ([op("a", "xq", "p"), op("b", "p", "q")], "cycle through operation 'a'"),
        ([op("a", "x", "p"), op("a", "x", "q")], "two operations are called 'a'"),
        ([op("a", "x", "p"), op("b", "x", "p")], "'p' is written by both 'a' and 'b'"),
        ([op("a", "q", "p")], "reads 'q', which no operation"),
        ([op("a", "x", ["unheard of"])], "not among the graph's values"),
    ],
)
def test_broken_graphs_are_refused(ops, message):
    with pytest.raises(GraphError, match=message):
        OpGraph(ops, [value("x", kind=ValueKind.INPUT), value("p"), value("q")], ["x"], [])


def test_inputs_and_outputs_must_exist():
    with pytest.raises(GraphError, match="output 'y'"):
        OpGraph([], [], [], ["y"])


def test_operands_left_out_are_none():
    graph = OpGraph([op("a", ["x", ""], ["y", ""])], [value("x", kind=ValueKind.INPUT), value("y")], ["x"], ["y"])
    assert graph.operands(graph.ops[0]) == (graph.values["x"], None)
    assert graph.results(graph.ops[0]) == (graph.values["y"],)


def test_batch_is_the_leading_size_of_the_first_input_that_has_one():
    values = [value("s", (), ValueKind.INPUT), value("x", (7, 3), ValueKind.INPUT)]
    assert OpGraph([], values, ["s", "x"], []).batch == 7
    assert OpGraph([], values[:1], ["s"], []).batch == 1


def test_replaced_drops_what_nothing_mentions():
    graph = diamond().replaced([op("only", "x", "y")])
    assert set(graph.values) == {"x", "y"}
    assert len(graph) == 1


def test_bytes_count_half_for_4_bit_types_and_none_for_unknown_shapes():
    assert Value("w", DType.INT4, (3, 2)).nbytes == 3
    assert Value("w", DType.FLOAT32, None).nbytes == 0
