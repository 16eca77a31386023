"""Passes around convolutions and products: biases, batch norms, padding, pooling."""

from __future__ import annotations

import pytest

from costmodel.graph.dtypes import DType
from costmodel.graph.op_graph import ValueKind
from costmodel.graph.passes import CanonicalGemm, FoldAffine, FusePad, GlobalPool

INFINITY = float("inf")


def conv(g, x, channels=16, *, bias=False, **attributes):
    in_channels = g.values[x].shape[1]
    weights = [g.weight(channels, in_channels, 1, 1), *([g.weight(channels)] if bias else [])]
    return g.op("Conv", x, *weights, shape=(1, channels, 8, 8), **attributes)


def batch_norm(g, x, **attributes):
    channels = g.values[x].shape[1]
    return g.op("BatchNormalization", x, *(g.weight(channels) for _ in range(4)), shape=g.values[x].shape, **attributes)


def test_a_product_with_a_weight_matrix_is_a_gemm(g, run):
    x, w = g.input(2, 5, 8), g.weight(8, 3)
    y = g.op("MatMul", x, w, shape=(2, 5, 3))
    (gemm,) = run(CanonicalGemm(), g.graph(y))
    assert (gemm.op_type, gemm.inputs, gemm.outputs) == ("Gemm", (x, w), (y,))


def test_products_with_activations_quantised_weights_and_stacks_of_matrices_stay(g, run):
    x = g.input(2, 5, 8)
    by_activation = g.op("MatMul", x, g.input(8, 3), shape=(2, 5, 3))
    by_integers = g.op("MatMul", x, g.weight(8, 3, dtype=DType.INT32), shape=(2, 5, 3))
    by_quantised = g.op("MatMul", x, g.weight(8, 3, dtype=DType.FLOAT8), shape=(2, 5, 3))
    by_stack = g.op("MatMul", x, g.weight(2, 8, 3), shape=(2, 5, 3))
    graph = g.graph(by_activation, by_integers, by_quantised, by_stack)
    assert run(CanonicalGemm(), graph) is graph


def test_batch_norm_gives_the_convolution_a_bias(g, run):
    x = g.input(1, 4, 8, 8)
    y = batch_norm(g, conv(g, x))
    graph = run(FoldAffine(), g.graph(y))
    (folded,) = graph
    assert (folded.op_type, folded.name, folded.outputs) == ("Conv", "conv0", (y,))
    bias = graph.values[folded.inputs[2]]
    assert (bias.kind, bias.shape) == (ValueKind.WEIGHT, (16,))
    assert folded.sources == ("node_conv0", "node_batchnormalization1")


def test_per_channel_factors_and_shifts_fold_in_any_number(g, run):
    x = g.input(1, 4, 8, 8)
    scaled = g.op("Mul", batch_norm(g, conv(g, x, bias=True)), g.weight(16, 1, 1))
    y = g.op("Sub", g.op("Add", g.weight(1, 16, 1, 1), scaled), g.number(2.0))
    (folded,) = run(FoldAffine(), g.graph(y))
    assert folded.outputs == (y,)
    assert folded.inputs == g.ops[0].inputs


def test_what_follows_a_batch_norm_of_its_own_folds_into_it(g, run):
    x = g.input(1, 4, 8, 8)
    y = g.op("Add", g.op("Mul", batch_norm(g, x), g.weight(4, 1, 1)), g.weight(4, 1, 1))
    (folded,) = run(FoldAffine(), g.graph(y))
    assert (folded.op_type, folded.inputs, folded.outputs) == ("BatchNormalization", g.ops[0].inputs, (y,))


def test_a_factor_alone_leaves_the_convolution_without_bias(g, run):
    (folded,) = run(FoldAffine(), g.graph(g.op("Mul", conv(g, g.input(1, 4, 8, 8)), g.weight(16, 1, 1))))
    assert len(folded.inputs) == 2


def test_a_shift_per_column_is_the_bias_of_a_gemm_but_a_factor_stays(g, run, types):
    x, bias = g.input(2, 5, 8), g.weight(3)
    shifted = g.op("Add", bias, g.op("Gemm", x, g.weight(8, 3), shape=(2, 5, 3)))
    graph = run(FoldAffine(), g.graph(g.op("Mul", shifted, g.weight(3))))
    assert types(graph) == ["Gemm", "Mul"]
    assert graph.ops[0].inputs[2] == bias


def test_batch_norm_folds_into_a_gemm_on_vectors_only(g, run, types):
    vectors = g.op("Gemm", g.input(2, 8), g.weight(8, 3), shape=(2, 3))
    tokens = g.op("Gemm", g.input(2, 5, 8), g.weight(8, 3), shape=(2, 5, 3))
    graph = run(FoldAffine(), g.graph(batch_norm(g, vectors), batch_norm(g, tokens)))
    assert types(graph) == ["Gemm", "Gemm", "BatchNormalization"]


@pytest.mark.parametrize("needed_by", ["output", "reader"])
def test_a_convolution_that_others_need_keeps_its_batch_norm(g, run, needed_by):
    inner = conv(g, g.input(1, 4, 8, 8))
    y = batch_norm(g, inner)
    graph = g.graph(y, inner if needed_by == "output" else g.op("Relu", inner))
    assert run(FoldAffine(), graph) is graph


def test_what_is_not_per_channel_or_not_known_or_before_the_convolution_stays(g, run):
    x = g.input(1, 4, 8, 8)
    per_row = g.op("Add", conv(g, x, channels=8), g.weight(8, 1))
    by_activation = g.op("Mul", conv(g, x), g.input(1, 16, 1, 1))
    inverted = g.op("Div", g.weight(16, 1, 1), conv(g, x), shape=(1, 16, 8, 8))
    training = batch_norm(g, conv(g, x), training_mode=1)
    before = conv(g, batch_norm(g, x))
    graph = g.graph(per_row, by_activation, inverted, training, before)
    assert run(FoldAffine(), graph) is graph


def padded(g, x, *, pads=(0, 0, 1, 1, 0, 0, 1, 1), **attributes):
    batch, channels, height, width = g.values[x].shape
    shape = (batch, channels, height + pads[2] + pads[6], width + pads[3] + pads[7])
    return g.op("Pad", x, shape=shape, pads=pads, **attributes)


def pool(g, op_type, x, **attributes):
    return g.op(op_type, x, shape=(1, 4, 8, 8), kernel_shape=(3, 3), **attributes)


def test_padding_moves_into_the_convolution(g, run):
    x, w = g.input(1, 4, 8, 8), g.weight(16, 4, 3, 3)
    y = g.op("Conv", padded(g, x), w, shape=(1, 16, 10, 10), pads=(1, 0, 1, 0), auto_pad="NOTSET")
    (fused,) = run(FusePad(), g.graph(y))
    assert (fused.inputs, fused.outputs, fused.attributes) == ((x, w), (y,), {"pads": (2, 1, 2, 1)})
    assert fused.name == "conv1"


def test_padding_moves_into_pools_where_they_pad_with_the_same(g, run, types):
    x = g.input(1, 4, 8, 8)
    average = pool(g, "AveragePool", padded(g, x))
    maximum = pool(g, "MaxPool", padded(g, x, value=-INFINITY))
    rectified = pool(g, "MaxPool", padded(g, g.op("Relu", x)))
    graph = run(FusePad(), g.graph(average, maximum, rectified))
    assert types(graph) == ["AveragePool", "MaxPool", "Relu", "MaxPool"]
    assert graph.ops[0].attributes == {"kernel_shape": (3, 3), "pads": (1, 1, 1, 1), "count_include_pad": 1}


@pytest.mark.parametrize(
    ("op_type", "pad", "attributes"),
    [
        ("AveragePool", {"value": 1.0}, {}),
        ("AveragePool", {"mode": "reflect"}, {}),
        ("AveragePool", {"pads": (0, 1, 1, 1, 0, 0, 1, 1)}, {}),
        ("AveragePool", {"pads": (0, 0, -1, 0, 0, 0, 0, 0)}, {}),
        ("AveragePool", {}, {"auto_pad": "SAME_UPPER"}),
        ("AveragePool", {}, {"pads": (1, 1, 1, 1)}),
        ("MaxPool", {}, {}),
    ],
)
def test_padding_that_the_operator_would_do_otherwise_stays(g, run, op_type, pad, attributes):
    graph = g.graph(pool(g, op_type, padded(g, g.input(1, 4, 8, 8), **pad), **attributes))
    assert run(FusePad(), graph) is graph


@pytest.mark.parametrize("needed_by", ["output", "reader"])
def test_padding_that_others_need_stays(g, run, needed_by):
    inner = padded(g, g.input(1, 4, 8, 8))
    y = pool(g, "AveragePool", inner)
    graph = g.graph(y, inner if needed_by == "output" else g.op("Relu", inner))
    assert run(FusePad(), graph) is graph


@pytest.mark.parametrize(
    ("op_type", "attributes", "global_type"),
    [
        ("ReduceMean", {"axes": (-2, -1)}, "GlobalAveragePool"),
        ("ReduceMax", {"axes": (2, 3)}, "GlobalMaxPool"),
        ("AveragePool", {"kernel_shape": (7, 7)}, "GlobalAveragePool"),
        ("MaxPool", {"kernel_shape": (7, 7)}, "GlobalMaxPool"),
    ],
)
def test_pooling_over_the_whole_image_is_global(g, run, op_type, attributes, global_type):
    x = g.input(1, 4, 7, 7)
    y = g.op(op_type, x, shape=(1, 4, 1, 1), **attributes)
    (pooled,) = run(GlobalPool(), g.graph(y))
    assert (pooled.op_type, pooled.inputs, pooled.outputs, pooled.attributes) == (global_type, (x,), (y,), {})


def test_a_mean_that_drops_the_image_axes_is_reshaped(g, run, types):
    x = g.input(1, 4, 7, 7)
    y = g.op("ReduceMean", x, shape=(1, 4), axes=(2, 3), keepdims=0)
    graph = run(GlobalPool(), g.graph(y))
    assert types(graph) == ["GlobalAveragePool", "Reshape"]
    assert graph.values[graph.ops[0].outputs[0]].shape == (1, 4, 1, 1)
    assert graph.ops[1].outputs == (y,)


def test_means_over_tokens_channels_or_part_of_the_image_stay(g, run):
    tokens = g.op("ReduceMean", g.input(1, 7, 4), shape=(1, 4), axes=(1,), keepdims=0)
    x = g.input(1, 4, 7, 7)
    width = g.op("ReduceMean", g.input(1, 7, 4), shape=(1, 7, 1), axes=(2,))
    channels = g.op("ReduceMean", x, shape=(1, 1, 7, 7), axes=(1,))
    corner = g.op("AveragePool", x, shape=(1, 4, 1, 1), kernel_shape=(5, 5), strides=(3, 3))
    rows = g.op("AveragePool", x, shape=(1, 4, 1, 7), kernel_shape=(7, 1))
    graph = g.graph(tokens, width, channels, corner, rows)
    assert run(GlobalPool(), graph) is graph
