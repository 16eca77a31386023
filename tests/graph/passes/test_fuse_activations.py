from __future__ import annotations

import pytest

from costmodel.graph.passes import FuseActivations


def swish(g, x):
    return g.op("Mul", g.op("Sigmoid", x), x)


def mish(g, x):
    return g.op("Mul", x, g.op("Tanh", g.op("Softplus", x)))


def hard_gate(g, x):
    return g.op("Clip", g.op("Add", x, g.number(3.0)), min=0.0, max=6.0)


def hard_sigmoid(g, x):
    return g.op("Div", hard_gate(g, x), g.number(6.0))


def hard_swish_of_quotient(g, x):
    return g.op("Mul", x, hard_sigmoid(g, x))


def hard_swish_divided(g, x):
    return g.op("Div", g.op("Mul", x, hard_gate(g, x)), g.number(6.0))


def hard_swish_scaled(g, x):
    return g.op("Mul", g.op("Mul", x, hard_gate(g, x)), g.number(0.1666667))


def hard_swish_of_hard_sigmoid(g, x):
    return g.op("Mul", x, g.op("HardSigmoid", x, alpha=1 / 6, beta=0.5))


def erf_term(g, x, erf_of):
    return g.op("Add", g.op("Erf", erf_of), g.number(1.0))


def erf_gelu_torch(g, x):
    term = erf_term(g, x, g.op("Div", x, g.number(1.4142135)))
    return g.op("Mul", g.op("Mul", x, term), g.number(0.5))


def erf_gelu_half_first(g, x):
    term = erf_term(g, x, g.op("Mul", x, g.number(0.70710677)))
    return g.op("Mul", g.op("Mul", x, g.number(0.5)), term)


def erf_gelu_half_in_the_middle(g, x):
    term = erf_term(g, x, g.op("Div", x, g.number(1.4142135)))
    return g.op("Mul", x, g.op("Mul", g.number(0.5), term))


def erf_gelu_stripped(g, x):
    term = g.op("Add", g.op("Erf", g.op("Div", x, g.number(None))), g.number(None))
    return g.op("Mul", g.op("Mul", x, term), g.number(None))


def tanh_gelu_pow(g, x):
    cube = g.op("Mul", g.op("Pow", x, g.number(3.0)), g.number(0.044715))
    argument = g.op("Mul", g.op("Add", x, cube), g.number(0.7978846))
    return g.op("Mul", g.op("Mul", g.number(0.5), x), g.op("Add", g.op("Tanh", argument), g.number(1.0)))


def tanh_gelu_factored(g, x):
    square = g.op("Mul", g.op("Mul", g.number(0.044715), x), x)
    argument = g.op("Mul", g.op("Mul", x, g.number(0.7978846)), g.op("Add", g.number(1.0), square))
    return g.op("Mul", g.op("Mul", x, g.number(0.5)), g.op("Add", g.op("Tanh", argument), g.number(1.0)))


def quick_gelu(g, x):
    return g.op("Mul", x, g.op("Sigmoid", g.op("Mul", x, g.number(1.702))))


def scaled_swish(g, x):
    return g.op("Mul", x, g.op("Sigmoid", g.op("Mul", x, g.number(2.0))))


@pytest.mark.parametrize(
    ("spelling", "op_type", "attributes"),
    [
        (swish, "Swish", {}),
        (mish, "Mish", {}),
        (hard_sigmoid, "HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}),
        (hard_swish_of_quotient, "HardSwish", {}),
        (hard_swish_divided, "HardSwish", {}),
        (hard_swish_scaled, "HardSwish", {}),
        (hard_swish_of_hard_sigmoid, "HardSwish", {}),
        (erf_gelu_torch, "Gelu", {"approximate": "none"}),
        (erf_gelu_half_first, "Gelu", {"approximate": "none"}),
        (erf_gelu_half_in_the_middle, "Gelu", {"approximate": "none"}),
        (erf_gelu_stripped, "Gelu", {"approximate": "none"}),
        (tanh_gelu_pow, "Gelu", {"approximate": "tanh"}),
        (tanh_gelu_factored, "Gelu", {"approximate": "tanh"}),
        (quick_gelu, "Gelu", {"approximate": "quick"}),
        (scaled_swish, "Swish", {"alpha": 2.0}),
    ],
)
def test_every_spelling_becomes_the_function(g, run, spelling, op_type, attributes):
    x = g.op("Relu", g.input(2, 8))
    y = spelling(g, x)
    spelt_out = g.graph(y)
    _, fused = run(FuseActivations(), spelt_out)
    assert (fused.op_type, fused.attributes) == (op_type, attributes)
    assert (fused.inputs, fused.outputs) == ((x,), (y,))
    assert fused.scope == spelt_out.ops[-1].scope
    assert fused.sources == tuple(op.sources[0] for op in spelt_out.ops[1:])


@pytest.mark.parametrize("spelling", [swish, mish, quick_gelu, erf_gelu_torch, hard_swish_divided, tanh_gelu_pow])
def test_an_inner_result_that_others_need_forbids_fusion(g, run, spelling):
    y = spelling(g, g.input(2, 8))
    inner = g.ops[0].outputs[0]
    as_output = g.graph(y, inner)
    assert run(FuseActivations(), as_output) is as_output
    read_twice = g.graph(y, g.op("Exp", inner))
    assert run(FuseActivations(), read_twice) is read_twice


def test_a_gate_on_another_tensor_is_no_swish(g, run):
    x = g.input(2, 8)
    graph = g.graph(g.op("Mul", g.op("Relu", x), g.op("Sigmoid", x)))
    assert run(FuseActivations(), graph) is graph


def test_other_constants_are_other_functions(g, run):
    x = g.input(2, 8)
    clipped = g.op("Clip", g.op("Add", x, g.number(3.0)), min=0.0, max=5.0)
    default_slope = g.op("Mul", x, g.op("HardSigmoid", x))
    shifted = g.op("Mul", g.op("Mul", x, g.op("Add", g.op("Erf", x), g.number(2.0))), g.number(0.5))
    graph = g.graph(g.op("Div", clipped, g.number(6.0)), default_slope, shifted)
    assert run(FuseActivations(), graph) is graph
