"""Passes that remove: dead code, constants, no-ops, views, operands that are settings."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest

from costmodel.graph.costs import op_cost, total_cost
from costmodel.graph.dtypes import DType
from costmodel.graph.op_graph import ValueKind
from costmodel.graph.passes import (
    CanonicalReshape,
    CanonicalSplit,
    DropDead,
    DropNoops,
    FoldConstants,
    HoistReshape,
    InlineOperands,
)


def test_dead_operations_and_unread_optional_results_go(g, run, types):
    x = g.input(1, 4, 8, 8)
    y, _ = g.op_with_results("MaxPool", [x], [(1, 4, 4, 4), (1, 4, 4, 4)])
    g.op("Exp", g.op("Neg", x))
    graph = run(DropDead(), g.graph(y))
    assert types(graph) == ["MaxPool"]
    assert graph.ops[0].outputs == (y,)


def test_results_that_are_not_optional_stay(g, run):
    x = g.input(1, 4)
    left, _ = g.op_with_results("Split", [x], [(1, 2), (1, 2)])
    graph = g.graph(left)
    assert run(DropDead(), graph) is graph


def test_operations_on_weights_become_weights(g, run, types):
    x, w = g.input(2, 3), g.weight(5, 3)
    transposed = g.op("Transpose", w, shape=(3, 5), perm=(1, 0))
    graph = run(FoldConstants(), g.graph(g.op("MatMul", x, transposed, shape=(2, 5))))
    assert types(graph) == ["MatMul"]
    assert graph.values[transposed].kind is ValueKind.WEIGHT
    assert w not in graph.values


def test_a_weight_under_two_names_is_one_weight(g, run, types):
    x, w = g.input(2, 4), g.weight(4, 4)
    again = g.op("Identity", g.op("Identity", w))
    y = g.op("MatMul", g.op("MatMul", x, w, shape=(2, 4)), again, shape=(2, 4))
    graph = run(FoldConstants(), g.graph(y))
    assert types(graph) == ["MatMul", "MatMul"]
    assert total_cost(graph).params == 16


def test_shape_arithmetic_is_computed(g, run, types):
    x = g.input(2, 3, 8, 10)
    shape = g.op("Shape", x, shape=(4,), dtype=DType.INT64)
    height = g.op("Slice", shape, g.ints(2), g.ints(3), shape=(1,))
    halved = g.op("Div", height, g.ints(2))
    target = g.op("Concat", g.ints(2, -1), halved, shape=(3,), axis=0)
    y = g.op("Reshape", x, target, shape=(2, 60, 4))
    graph = run(FoldConstants(), g.graph(y))
    assert types(graph) == ["Reshape"]
    np.testing.assert_array_equal(graph.values[target].data, [2, -1, 4])


@pytest.mark.parametrize("op_type", ["DequantizeLinear", "RandomNormalLike"])
def test_quantised_weights_and_random_numbers_are_not_folded(g, run, op_type):
    x, w = g.input(3), g.weight(3)
    graph = g.graph(g.op("Add", x, g.op(op_type, w)))
    assert run(FoldConstants(), graph) is graph


def test_operations_of_other_domains_are_not_folded(g, run):
    graph = g.graph(g.op("Add", g.input(3), g.op("Draw", g.weight(3), domain="acme")))
    assert run(FoldConstants(), graph) is graph


def test_a_folded_output_stays_an_output(g, run):
    y = g.op("Exp", g.weight(3))
    graph = run(FoldConstants(), g.graph(y))
    assert len(graph) == 0
    assert graph.outputs == (y,)


@pytest.mark.parametrize(
    ("op_type", "attributes", "operands"),
    [
        ("Identity", {}, ()),
        ("Dropout", {}, ()),
        ("Cast", {"to": 1}, ()),
        ("Reshape", {}, ()),
        ("Transpose", {"perm": (0, 1, 2, 3)}, ()),
        ("Pad", {"pads": (0,) * 8}, ()),
        ("Slice", {"starts": (0,), "ends": (9,), "axes": (1,)}, ()),
        ("Concat", {"axis": 1}, ()),
        ("Sum", {}, ()),
        ("Split", {"axis": 1}, ()),
        ("AveragePool", {"kernel_shape": (1, 1)}, ()),
        ("Resize", {"mode": "linear"}, ()),
        ("Clip", {}, ()),
        ("Add", {}, (0.0,)),
        ("Mul", {}, (1.0,)),
        ("Div", {}, (1.0,)),
        ("Pow", {}, (1.0,)),
    ],
)
def test_operations_that_change_nothing_go(g, run, types, op_type, attributes, operands):
    x = g.input(1, 4, 8, 8)
    same = g.op(op_type, x, *map(g.number, operands), **attributes)
    graph = run(DropNoops(), g.graph(g.op("Relu", same), same))
    assert types(graph) == ["Relu"]
    assert graph.ops[0].inputs == (x,)
    assert graph.outputs[1] == x


@pytest.mark.parametrize(
    ("op_type", "attributes", "operands"),
    [
        ("Transpose", {"perm": (0, 1, 3, 2)}, ()),
        ("Pad", {"pads": (0, 0, 1, 0, 0, 0, -1, 0)}, ()),
        ("Slice", {"starts": (-1,), "ends": (-99,), "axes": (1,), "steps": (-1,)}, ()),
        ("MaxPool", {"kernel_shape": (3, 3), "pads": (1, 1, 1, 1)}, ()),
        ("Dropout", {"training_mode": 1}, ()),
        ("Clip", {"min": 0.0}, ()),
        ("Add", {}, (None,)),
        ("Mul", {}, (0.5,)),
        ("Resize", {"coordinate_transformation_mode": "tf_crop_and_resize"}, ()),
    ],
)
def test_operations_that_keep_the_shape_but_not_the_elements_stay(g, run, op_type, attributes, operands):
    x = g.input(1, 4, 8, 8)
    graph = g.graph(g.op(op_type, x, *map(g.number, operands), **attributes))
    assert run(DropNoops(), graph) is graph


def test_subtraction_from_zero_and_a_cast_to_another_type_stay(g, run):
    x = g.input(2, 3)
    negated = g.op("Sub", g.number(0.0), x, shape=(2, 3))
    graph = g.graph(g.op("Cast", negated, dtype=DType.FLOAT16))
    assert run(DropNoops(), graph) is graph


def test_a_dropout_whose_mask_is_read_stays(g, run):
    y, mask = g.op_with_results("Dropout", [g.input(2, 3)], [(2, 3), (2, 3)])
    graph = g.graph(y, mask)
    assert run(DropNoops(), graph) is graph


def test_views_become_one_reshape(g, run, types):
    x = g.input(2, 4, 1, 3)
    swapped = g.op("Transpose", x, shape=(2, 1, 4, 3), perm=(0, 2, 1, 3))
    squeezed = g.op("Squeeze", swapped, shape=(2, 4, 3), axes=(1,))
    flat = g.op("Flatten", squeezed, shape=(2, 12), axis=1)
    graph = run(CanonicalReshape(), g.graph(flat))
    assert types(graph) == ["Reshape"]
    (reshape,) = graph
    assert (reshape.inputs, reshape.outputs, reshape.attributes) == ((x,), (flat,), {})
    assert reshape.sources == ("node_transpose0", "node_squeeze1", "node_flatten2")


def test_a_view_with_another_reader_stays_for_it(g, run, types):
    x = g.input(2, 12)
    tokens = g.op("Reshape", x, shape=(2, 4, 3))
    flat = g.op("Flatten", tokens, shape=(2, 12))
    graph = run(CanonicalReshape(), g.graph(flat, g.op("Relu", tokens)))
    assert types(graph) == ["Reshape", "Reshape", "Relu"]
    assert graph.ops[1].inputs == (x,)
    assert graph.ops[1].sources == ("node_flatten1",)


def test_a_transpose_that_moves_elements_and_an_expand_that_copies_are_no_views(g, run):
    x = g.input(2, 4, 3)
    moved = g.op("Transpose", x, shape=(4, 2, 3), perm=(1, 0, 2))
    graph = g.graph(g.op("Expand", moved, shape=(5, 4, 2, 3)))
    assert run(CanonicalReshape(), graph) is graph


def test_settings_become_attributes(g, run):
    x = g.input(2, 4, 6)
    mean = g.op("ReduceMean", x, g.ints(1), shape=(2, 1, 6))
    clipped = g.op("Clip", mean, "", g.number(6.0), shape=(2, 1, 6))
    graph = run(InlineOperands(), g.graph(g.op("Reshape", clipped, g.ints(2, -1), shape=(2, 6), allowzero=0)))
    reduce, clip, reshape = graph
    assert (reduce.inputs, reduce.attributes) == ((x,), {"axes": (1,)})
    assert (clip.inputs, clip.attributes) == ((mean,), {"max": 6.0})
    assert (reshape.inputs, reshape.attributes) == ((clipped,), {})


def test_settings_that_are_unknown_or_computed_stay_operands(g, run):
    x = g.input(2, 4)
    clipped = g.op("Clip", x, g.number(None))
    graph = g.graph(g.op("Clip", clipped, "", g.op("ReduceMax", x, shape=())))
    assert run(InlineOperands(), graph) is graph


def test_a_reshape_of_leading_axes_goes_in_front_of_the_transpose(g, run, types):
    x = g.input(6, 7, 16)
    transposed = g.op("Transpose", x, shape=(6, 16, 7), perm=(0, 2, 1))
    y = g.op("Reshape", transposed, shape=(2, 3, 16, 7))
    graph = run(HoistReshape(), g.graph(y))
    assert types(graph) == ["Reshape", "Transpose"]
    reshape, transpose = graph
    assert graph.values[reshape.outputs[0]].shape == (2, 3, 7, 16)
    assert (transpose.outputs, transpose.attributes) == ((y,), {"perm": (0, 1, 3, 2)})


def test_other_reshapes_and_transposes_with_other_readers_stay_in_place(g, run):
    x = g.input(6, 7, 16)
    transposed = g.op("Transpose", x, shape=(6, 16, 7), perm=(0, 2, 1))
    merges_matrices = g.op("Reshape", g.op("Transpose", x, shape=(6, 16, 7), perm=(0, 2, 1)), shape=(96, 7))
    moves_stack = g.op("Reshape", g.op("Transpose", x, shape=(7, 6, 16), perm=(1, 0, 2)), shape=(7, 1, 6, 16))
    splits = g.op("Reshape", transposed, shape=(2, 3, 16, 7))
    graph = g.graph(merges_matrices, moves_stack, splits, g.op("Relu", transposed))
    assert run(HoistReshape(), graph) is graph


def test_slices_that_make_up_a_tensor_become_a_split(g, run, types):
    x = g.input(2, 8)
    tail = g.op("Slice", x, shape=(2, 6), starts=(-6,), ends=(99,), axes=(-1,))
    exponent = g.op("Exp", x)
    negated = g.op("Neg", tail)
    head = g.op("Slice", x, shape=(2, 2), starts=(0,), ends=(2,), axes=(1,), steps=(1,))
    graph = run(CanonicalSplit(), g.graph(negated, head, exponent))
    assert types(graph) == ["Split", "Exp", "Neg"]
    assert graph.ops[0].outputs == (head, tail)
    assert graph.ops[0].attributes == {"axis": 1, "split": (2, 6)}


@pytest.mark.parametrize("cuts", [((0, 3), (4, 8)), ((0, 5), (4, 8)), ((0, 4), (4, 7))])
def test_slices_that_overlap_or_leave_a_gap_stay(g, run, cuts):
    x = g.input(2, 8)
    parts = [g.op("Slice", x, shape=(2, end - start), starts=(start,), ends=(end,), axes=(1,)) for start, end in cuts]
    graph = g.graph(*parts)
    assert run(CanonicalSplit(), graph) is graph


def test_slices_that_skip_elements_stay(g, run):
    x = g.input(2, 8)
    even = g.op("Slice", x, shape=(2, 4), starts=(0,), ends=(8,), axes=(1,), steps=(2,))
    second_half = g.op("Slice", x, shape=(2, 4), starts=(4,), ends=(8,), axes=(1,), steps=(1,))
    graph = g.graph(even, second_half)
    assert run(CanonicalSplit(), graph) is graph


def test_much_arithmetic_on_weights_stays_and_its_result_is_a_weight(g, run):
    weight = g.weight(64, 64, 3, 3)
    standardised = g.op("InstanceNormalization", weight, g.weight(64), g.weight(64), shape=(64, 64, 3, 3))
    y = g.op("Conv", g.input(1, 64, 8, 8), standardised, shape=(1, 64, 8, 8), kernel_shape=(3, 3))
    graph = run(FoldConstants(), g.graph(y))
    assert [op.op_type for op in graph.ops] == ["InstanceNormalization", "Conv"]
    assert graph.values[standardised].is_weight
    assert total_cost(graph).params == 64 * 64 * 9 + 2 * 64
    assert op_cost(graph.ops[1], graph).weight_bytes == 4 * 64 * 64 * 9
    assert [op.op_type for op in run(FoldConstants(most_flops=inf), graph).ops] == ["Conv"]


def test_a_weight_computed_twice_is_one_weight(g, run):
    table = g.weight(64, 16)
    first, second = (g.op("Transpose", table, shape=(16, 64), perm=(1, 0)) for _ in range(2))
    other = g.op("Transpose", table, shape=(64, 16), perm=(0, 1))
    x = g.op("MatMul", g.input(2, 16), first, shape=(2, 64))
    y = g.op("MatMul", g.op("MatMul", x, other, shape=(2, 16)), second, shape=(2, 64))
    graph = run(FoldConstants(), g.graph(y))
    assert [op.inputs[1] for op in graph.ops] == [first, other, first]
    assert total_cost(graph).params == 2 * 64 * 16


def test_what_reads_a_weight_made_at_run_under_another_name_stays(g, run, types):
    weight = g.op("InstanceNormalization", g.weight(64, 64, 3, 3), g.weight(64), g.weight(64), shape=(64, 64, 3, 3))
    view = g.op("Reshape", g.op("Identity", weight), g.ints(64, 576), shape=(64, 576))
    graph = run(FoldConstants(), g.graph(g.op("MatMul", g.input(2, 64), view, shape=(2, 576))))
    assert types(graph) == ["InstanceNormalization", "Reshape", "MatMul"]


def test_little_arithmetic_on_weights_and_a_cast_are_folded(g, run, types):
    small = g.op("Mul", g.weight(64, 8), g.weight(1, 8))
    large = g.op("Cast", g.weight(512, 512, dtype=DType.FLOAT16), shape=(512, 512), dtype=DType.FLOAT32)
    y = g.op("MatMul", g.op("MatMul", g.input(2, 64), small, shape=(2, 8)), g.weight(8, 512), shape=(2, 512))
    z = g.op("MatMul", y, large, shape=(2, 512))
    assert types(run(FoldConstants(), g.graph(z))) == ["MatMul"] * 3
