from __future__ import annotations

import pytest

from costmodel.graph.passes import FuseAttention

HEADS = (2, 3)
TOKENS, SOURCES, DIM = 5, 7, 16


def scores_of(g, q, keys):
    return g.op("MatMul", q, keys, shape=(*HEADS, TOKENS, SOURCES))


def mixed(g, scores, v):
    return g.op("MatMul", g.op("Softmax", scores, axis=-1), v, shape=(*HEADS, TOKENS, DIM))


@pytest.fixture
def qkv(g):
    return g.input(*HEADS, TOKENS, DIM), g.input(*HEADS, SOURCES, DIM), g.input(*HEADS, SOURCES, DIM)


def transposed(g, k):
    return g.op("Transpose", k, shape=(*HEADS, DIM, SOURCES), perm=(0, 1, 3, 2))


def test_scaled_and_masked_scores(g, run, qkv):
    q, k, v = qkv
    mask = g.weight(1, 1, TOKENS, SOURCES)
    scores = g.op("Mul", scores_of(g, q, transposed(g, k)), g.number(0.1))
    y = mixed(g, g.op("Add", scores, mask), v)
    (attention,) = run(FuseAttention(), g.graph(y))
    assert (attention.op_type, attention.inputs, attention.outputs) == ("Attention", (q, k, v, mask), (y,))
    assert attention.attributes == {"scale": pytest.approx(0.1)}
    assert attention.scope == "scope.matmul1"
    assert len(attention.sources) == len(g.ops)


@pytest.mark.parametrize("scale_before_transpose", [True, False])
def test_the_root_of_the_scale_on_both_sides_is_the_default_scale(g, run, qkv, scale_before_transpose):
    q, k, v = qkv
    root = 16**-0.25
    keys = transposed(g, g.op("Mul", k, g.number(root))) if scale_before_transpose else transposed(g, k)
    if not scale_before_transpose:
        keys = g.op("Mul", keys, g.number(root))
    (attention,) = run(FuseAttention(), g.graph(mixed(g, scores_of(g, g.op("Mul", q, g.number(root)), keys), v)))
    assert (attention.inputs, attention.attributes) == ((q, k, v), {})


def test_unscaled_scores_say_so_and_unknown_scales_do_not(g, run, qkv):
    q, k, v = qkv
    unscaled = mixed(g, scores_of(g, q, transposed(g, k)), v)
    unknown = mixed(g, g.op("Div", scores_of(g, q, transposed(g, k)), g.number(None)), v)
    first, second = run(FuseAttention(), g.graph(unscaled, unknown))
    assert first.attributes == {"scale": 1.0}
    assert second.attributes == {}


def test_a_transpose_that_moves_the_heads_too_is_replaced_by_one_that_only_does_that(g, run, types, qkv):
    q, _, v = qkv
    by_token = g.input(2, SOURCES, 3, DIM)
    keys = g.op("Transpose", by_token, shape=(*HEADS, DIM, SOURCES), perm=(0, 2, 3, 1))
    graph = run(FuseAttention(), g.graph(mixed(g, scores_of(g, q, keys), v)))
    assert types(graph) == ["Transpose", "Attention"]
    transpose, attention = graph
    assert (transpose.inputs, transpose.attributes["perm"]) == ((by_token,), (0, 2, 1, 3))
    assert transpose.sources == ("node_transpose0",)
    assert attention.inputs == (q, transpose.outputs[0], v)
    assert graph.values[transpose.outputs[0]].shape == (*HEADS, SOURCES, DIM)


def test_masks_that_choose_and_guards_against_rows_of_minus_infinity(g, run, qkv):
    q, k, v = qkv
    mask = g.input(1, 1, TOKENS, SOURCES)
    scores = g.op("Where", mask, scores_of(g, q, transposed(g, k)), g.number(float("-inf")))
    weights = g.op("Softmax", scores, axis=3)
    guarded = g.op("Where", g.op("IsNaN", weights), g.number(0.0), weights)
    (attention,) = run(FuseAttention(), g.graph(g.op("MatMul", guarded, v, shape=(*HEADS, TOKENS, DIM))))
    assert attention.inputs == (q, k, v, mask)


def test_three_axes_are_one_head(g, run):
    q, k, v = g.input(6, 5, 16), g.input(6, 7, 16), g.input(6, 7, 16)
    keys = g.op("Transpose", k, shape=(6, 16, 7), perm=(0, 2, 1))
    weights = g.op("Softmax", g.op("MatMul", q, keys, shape=(6, 5, 7)), axis=-1)
    (attention,) = run(FuseAttention(), g.graph(g.op("MatMul", weights, v, shape=(6, 5, 16))))
    assert attention.inputs == (q, k, v)
    assert attention.attributes == {"scale": 1.0, "q_num_heads": 1, "kv_num_heads": 1}


def test_attention_weights_that_others_need_forbid_fusion(g, run, qkv):
    q, k, v = qkv
    y = mixed(g, scores_of(g, q, transposed(g, k)), v)
    weights = g.ops[-2].outputs[0]
    as_output = g.graph(y, weights)
    assert run(FuseAttention(), as_output) is as_output
    read_twice = g.graph(y, g.op("Exp", weights))
    assert run(FuseAttention(), read_twice) is read_twice


def test_without_a_transpose_or_over_another_axis_nothing_is_fused(g, run, qkv):
    q, k, v = qkv
    untransposed = mixed(g, scores_of(g, q, g.input(*HEADS, DIM, SOURCES)), v)
    weights = g.op("Softmax", scores_of(g, q, transposed(g, k)), axis=1)
    other_axis = g.op("MatMul", weights, v, shape=(*HEADS, TOKENS, DIM))
    graph = g.graph(untransposed, other_axis)
    assert run(FuseAttention(), graph) is graph


def test_transposed_keys_that_are_the_values_too_are_not_fused(g, run):
    q, k = g.input(2, 3, 16, 16), g.input(2, 3, 16, 16)
    keys = g.op("Transpose", k, perm=(0, 1, 3, 2))
    graph = g.graph(g.op("MatMul", g.op("Softmax", g.op("MatMul", q, keys), axis=-1), keys))
    assert run(FuseAttention(), graph) is graph


def test_keys_shared_by_all_heads_are_not_fused(g, run, qkv):
    q, _, v = qkv
    keys = g.op("Transpose", g.input(SOURCES, DIM), shape=(DIM, SOURCES), perm=(1, 0))
    graph = g.graph(mixed(g, scores_of(g, q, keys), v))
    assert run(FuseAttention(), graph) is graph
