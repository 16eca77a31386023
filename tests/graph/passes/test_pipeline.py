"""What all passes do together: two spellings of a network end as the same operations, quickly."""

from __future__ import annotations

from dataclasses import replace
from time import thread_time

import pytest

from costmodel.errors import GraphError
from costmodel.graph.passes import simplify


def mlp_as_torch_has_it(g, x):
    width = g.values[x].shape[-1]
    normal = g.op("LayerNormalization", x, g.weight(width), g.weight(width), shape=(2, 5, width), axis=-1, epsilon=1e-6)
    hidden = g.op("Gemm", normal, g.weight(4 * width, width), g.weight(4 * width), shape=(2, 5, 4 * width), transB=1)
    hidden = g.op("Gelu", hidden, approximate="none")
    branch = g.op("Gemm", hidden, g.weight(width, 4 * width), g.weight(width), shape=(2, 5, width), transB=1)
    return g.op("Add", x, branch)


def mlp_as_an_exporter_writes_it(g, x):
    width = g.values[x].shape[-1]
    centred = g.op("Sub", x, g.op("ReduceMean", x, g.ints(-1), shape=(2, 5, 1)))
    variance = g.op("ReduceMean", g.op("Pow", centred, g.number(2.0)), g.ints(-1), shape=(2, 5, 1))
    normal = g.op("Div", centred, g.op("Sqrt", g.op("Add", variance, g.number(1e-6))))
    normal = g.op("Add", g.op("Mul", normal, g.weight(width)), g.weight(width))
    first = g.op("Transpose", g.weight(4 * width, width), shape=(width, 4 * width), perm=(1, 0))
    hidden = g.op("Add", g.op("MatMul", normal, first, shape=(2, 5, 4 * width)), g.weight(4 * width))
    erf = g.op("Add", g.op("Erf", g.op("Div", hidden, g.number(1.4142135))), g.number(1.0))
    hidden = g.op("Identity", g.op("Mul", g.op("Mul", hidden, erf), g.number(0.5)))
    hidden = g.op("Dropout", hidden, g.number(0.1))
    branch = g.op("MatMul", hidden, g.weight(4 * width, width), shape=(2, 5, width))
    return g.op("Add", x, g.op("Add", g.weight(width), branch))


def test_both_spellings_of_an_mlp_block_meet(g, other, types):
    from_torch = simplify(g.graph(mlp_as_torch_has_it(g, g.input(2, 5, 8))))
    from_onnx = simplify(other.graph(mlp_as_an_exporter_writes_it(other, other.input(2, 5, 8))))
    assert types(from_torch) == ["LayerNormalization", "Gemm", "Gelu", "Gemm", "Add"]
    assert types(from_onnx) == types(from_torch)
    for ours, theirs in zip(from_onnx, from_torch, strict=True):
        assert [from_onnx.values[name].size for name in ours.inputs] == [
            from_torch.values[name].size for name in theirs.inputs
        ]


def test_an_activation_after_a_convolution_keeps_the_constant_it_begins_with(g, types):
    x = g.input(1, 4, 8, 8)
    y = g.op("Conv", x, g.weight(4, 4, 1, 1), shape=(1, 4, 8, 8))
    gate = g.op("Clip", g.op("Add", y, g.number(3.0)), g.number(0.0), g.number(6.0), shape=(1, 4, 8, 8))
    graph = simplify(g.graph(g.op("Mul", x, g.op("Div", gate, g.number(6.0)))))
    assert types(graph) == ["Conv", "HardSigmoid", "Mul"]


def test_simplifying_twice_finds_nothing(g):
    x = g.input(2, 5, 8)
    once = simplify(g.graph(mlp_as_an_exporter_writes_it(g, mlp_as_torch_has_it(g, x))))
    assert simplify(once) is once


def test_operations_of_other_domains_pass_untouched(g):
    x = g.input(2, 3)
    graph = g.graph(g.op("Identity", x, domain="acme"), g.op("Mul", x, g.op("Sigmoid", x, domain="acme")))
    assert simplify(graph) is graph


def test_keys_transposed_as_a_flat_stack_of_matrices_are_attention_too(g, types):
    q, flat, v = g.input(2, 3, 5, 16), g.input(6, 7, 16), g.input(2, 3, 7, 16)
    transposed = g.op("Transpose", flat, shape=(6, 16, 7), perm=(0, 2, 1))
    keys = g.op("Reshape", transposed, g.ints(2, 3, 16, 7), shape=(2, 3, 16, 7))
    scores = g.op("MatMul", g.op("Mul", q, g.number(0.5)), g.op("Mul", keys, g.number(0.5)), shape=(2, 3, 5, 7))
    graph = simplify(g.graph(g.op("MatMul", g.op("Softmax", scores, axis=-1), v, shape=(2, 3, 5, 16))))
    assert types(graph) == ["Reshape", "Attention"]
    assert graph.values[graph.ops[1].inputs[1]].shape == (2, 3, 7, 16)


@pytest.mark.parametrize("operands", [(), ("x",), ("x", ""), ("x", "x", "x")])
def test_an_operation_without_its_operands_is_refused(g, operands):
    x = g.input(2, 3)
    graph = g.graph(g.op("Mul", x, x))
    broken = replace(graph.ops[0], inputs=tuple(x if name else "" for name in operands))
    with pytest.raises(GraphError, match="'mul0' is no valid Mul: expected 2 operands"):
        simplify(graph.replaced([broken]))


def test_an_operation_without_a_result_is_refused(g):
    graph = g.graph(g.op("Relu", g.input(2, 3)))
    idle = replace(graph.ops[0], name="idle", outputs=())
    with pytest.raises(GraphError, match="'idle' is no valid Relu: expected a first result"):
        simplify(graph.replaced([*graph.ops, idle]))


def test_time_grows_no_faster_than_the_network(g, other):
    seconds = [_cpu_seconds(builder, blocks) for builder, blocks in ((g, 50), (other, 400))]
    assert seconds[1] < 24 * seconds[0]  # eight times the operations; a quadratic sweep takes 64 times as long


def _cpu_seconds(g, blocks):
    y = g.input(2, 5, 8)
    for _ in range(blocks):
        y = mlp_as_an_exporter_writes_it(g, y)
    graph = g.graph(y)
    start = thread_time()
    assert len(simplify(graph)) == 5 * blocks
    return thread_time() - start
