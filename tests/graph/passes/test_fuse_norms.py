from __future__ import annotations

import pytest

from costmodel.graph.passes import FuseNorms


def layer_norm(g, x, axes=(-1,), *, square="Pow", inverse="Div", shared=True, epsilon=1e-6):
    rank = len(g.values[x].shape)
    kept = [1 if axis - rank in axes else size for axis, size in enumerate(g.values[x].shape)]

    def centre():
        return g.op("Sub", x, g.op("ReduceMean", x, shape=kept, axes=axes))

    centred = centre()
    squared = g.op("Pow", centred, g.number(2.0)) if square == "Pow" else g.op("Mul", centred, centred)
    variance = g.op("ReduceMean", squared, shape=kept, axes=axes)
    root = g.op("Sqrt", g.op("Add", variance, g.number(epsilon)))
    numerator = centred if shared else centre()
    if inverse == "Div":
        return g.op("Div", numerator, root)
    return g.op("Mul", numerator, g.op("Reciprocal", root))


def affine(g, normal, *weight_shape):
    return g.op("Add", g.op("Mul", normal, g.weight(*weight_shape)), g.weight(*weight_shape))


@pytest.mark.parametrize(
    "spelling", [{}, {"square": "Mul"}, {"inverse": "Reciprocal"}, {"shared": False}, {"axes": (-2, -1)}]
)
def test_layer_norm_with_scale_and_bias(g, run, spelling):
    x = g.input(2, 5, 8)
    axes = spelling.get("axes", (-1,))
    y = affine(g, layer_norm(g, x, **spelling), *(5, 8)[-len(axes) :])
    (norm,) = run(FuseNorms(), g.graph(y))
    scale, bias = (op.inputs[1] for op in g.ops[-2:])
    assert (norm.op_type, norm.inputs, norm.outputs) == ("LayerNormalization", (x, scale, bias), (y,))
    assert norm.attributes == {"axis": -len(axes), "epsilon": pytest.approx(1e-6)}
    assert len(norm.sources) == len(g.ops)


def test_layer_norm_without_scale_and_bias(g, run, types):
    x = g.input(2, 5, 8)
    graph = run(FuseNorms(), g.graph(g.op("Mul", layer_norm(g, x, epsilon=None), g.input(2, 5, 8))))
    assert types(graph) == ["LayerNormalization", "Mul"]
    assert graph.ops[0].inputs == (x,)
    assert graph.ops[0].attributes == {"axis": -1}


def test_a_weight_of_another_size_is_not_the_scale(g, run, types):
    graph = run(FuseNorms(), g.graph(g.op("Mul", layer_norm(g, g.input(2, 5, 8)), g.weight(5, 8))))
    assert types(graph) == ["LayerNormalization", "Mul"]


def test_a_norm_over_channels_that_are_not_last_stays(g, run):
    graph = g.graph(layer_norm(g, g.input(2, 5, 8), axes=(-2,)))
    assert run(FuseNorms(), graph) is graph


def test_a_mean_and_a_variance_over_different_axes_are_no_layer_norm(g, run, types):
    x = g.input(2, 5, 8)
    centred = g.op("Sub", x, g.op("ReduceMean", x, shape=(2, 5, 1), axes=(-1,)))
    variance = g.op("ReduceMean", g.op("Pow", centred, g.number(2.0)), shape=(2, 1, 1), axes=(-2, -1))
    root = g.op("Sqrt", g.op("Add", variance, g.number(1e-6)))
    graph = run(FuseNorms(), g.graph(g.op("Div", centred, root)))
    assert types(graph) == ["ReduceMean", "Sub", "RMSNormalization"]


def test_a_variance_that_others_need_forbids_fusion(g, run):
    y = layer_norm(g, g.input(2, 5, 8))
    variance = g.ops[3].outputs[0]
    as_output = g.graph(y, variance)
    assert run(FuseNorms(), as_output) is as_output
    read_twice = g.graph(y, g.op("Exp", variance))
    assert run(FuseNorms(), read_twice) is read_twice


def test_a_mean_that_others_need_leaves_the_root_mean_square_of_what_is_centred(g, run, types):
    y = layer_norm(g, g.input(2, 5, 8))
    graph = run(FuseNorms(), g.graph(y, g.ops[0].outputs[0]))
    assert types(graph) == ["ReduceMean", "Sub", "RMSNormalization"]


@pytest.mark.parametrize("inverse", ["Reciprocal", "Div", "Quotient", "Pow"])
def test_rms_norm(g, run, inverse):
    x, scale = g.input(2, 5, 8), g.weight(8)
    square = g.op("ReduceMean", g.op("Pow", x, g.number(2.0)), shape=(2, 5, 1), axes=(2,))
    padded = g.op("Add", square, g.number(1e-6))
    if inverse == "Pow":
        normal = g.op("Mul", x, g.op("Pow", padded, g.number(-0.5)))
    elif inverse == "Div":
        normal = g.op("Mul", x, g.op("Div", g.number(1.0), g.op("Sqrt", padded)))
    elif inverse == "Quotient":
        normal = g.op("Div", x, g.op("Sqrt", padded))
    else:
        normal = g.op("Mul", x, g.op("Reciprocal", g.op("Sqrt", padded)))
    (norm,) = run(FuseNorms(), g.graph(g.op("Mul", scale, normal, shape=(2, 5, 8))))
    assert (norm.op_type, norm.inputs, norm.attributes["axis"]) == ("RMSNormalization", (x, scale), -1)


def group_norm(g, x, groups, affine_shape):
    batch, *rest = g.values[x].shape
    grouped = g.op("Reshape", x, shape=(batch, groups, 128))
    normal = g.op("InstanceNormalization", grouped, g.weight(groups), g.weight(groups), shape=(batch, groups, 128))
    return affine(g, g.op("Reshape", normal, shape=(batch, *rest)), *affine_shape)


def test_group_norm(g, run):
    x = g.input(2, 16, 4, 8)
    y = group_norm(g, x, 4, (16, 1, 1))
    (norm,) = run(FuseNorms(), g.graph(y))
    assert (norm.op_type, norm.inputs[0], norm.outputs) == ("GroupNormalization", x, (y,))
    assert len(norm.inputs) == 3
    assert norm.attributes == {"num_groups": 4}


def test_an_instance_norm_of_its_own_stays(g, run):
    x = g.input(2, 16, 4, 8)
    graph = g.graph(
        affine(g, g.op("InstanceNormalization", x, g.weight(16), g.weight(16), shape=(2, 16, 4, 8)), 16, 1, 1)
    )
    assert run(FuseNorms(), graph) is graph


@pytest.mark.parametrize("floor", ["Clip", "Max", None])
@pytest.mark.parametrize("expand", [True, False])
def test_division_by_the_length(g, run, floor, expand):
    x = g.input(2, 5, 8)
    length = g.op("ReduceL2", x, shape=(2, 5, 1), axes=(-1,), keepdims=1)
    if floor == "Clip":
        length = g.op("Clip", length, min=1e-12)
    elif floor == "Max":
        length = g.op("Max", length, g.number(1e-12))
    if expand:
        length = g.op("Expand", length, shape=(2, 5, 8))
    (norm,) = run(FuseNorms(), g.graph(g.op("Div", x, length)))
    assert (norm.op_type, norm.inputs, norm.attributes) == ("LpNormalization", (x,), {"axis": 2, "p": 2})


def test_division_by_the_length_of_another_tensor_stays(g, run):
    x, y = g.input(2, 5, 8), g.input(2, 5, 8)
    graph = g.graph(g.op("Div", x, g.op("ReduceL2", y, shape=(2, 5, 1), axes=(-1,))))
    assert run(FuseNorms(), graph) is graph
