"""Recognises activation functions that were spelt out in arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from math import isclose, pi, sqrt

from costmodel.graph.op_graph import AttributeValue, Op
from costmodel.graph.passes.matching import Wiring
from costmodel.graph.passes.pattern_pass import PatternPass, Rule
from costmodel.graph.passes.patterns import Match, OneOf, Scalar, Tensor, call, product, scaled
from costmodel.graph.passes.rewriting import Rewriter

__all__ = ["FuseActivations"]

_QUICK_GELU_SLOPE = 1.702


def _clips_between_0_and_6(op: Op, wiring: Wiring) -> bool:
    return all(
        bound is None or bound == expected
        for bound, expected in zip((_bound(op, 1, "min", wiring), _bound(op, 2, "max", wiring)), (0, 6), strict=True)
    )


def _bound(op: Op, index: int, name: str, wiring: Wiring) -> float | None:
    if index < len(op.inputs) and op.inputs[index]:
        return wiring.number(op.inputs[index])
    bound = op.attributes.get(name)
    return bound if isinstance(bound, int | float) else float("nan")


def _has_slope_of_hard_swish(op: Op, _wiring: Wiring) -> bool:
    slope, offset = op.attributes.get("alpha", 0.2), op.attributes.get("beta", 0.5)
    return isinstance(slope, float) and isclose(slope, 1 / 6, rel_tol=1e-3) and offset == 0.5


def _becomes(op_type: str, **attributes: AttributeValue) -> Callable[[Match, Rewriter], bool]:
    def rewrite(match: Match, edits: Rewriter) -> bool:
        edits.fuse(match.ops, op_type, (match.value("x"),), attributes)
        return True

    return rewrite


def _becomes_scaled_swish(match: Match, edits: Rewriter) -> bool:
    slope = edits.wiring.number(match.value("slope"))
    if slope is None or isclose(slope, _QUICK_GELU_SLOPE, rel_tol=1e-2):
        return _becomes("Gelu", approximate="quick")(match, edits)
    return _becomes("Swish", alpha=slope)(match, edits)


_X = Tensor("x")

_HARD_GATE = call("Clip", call("Add", _X, Scalar(3.0)), where=_clips_between_0_and_6)
_HARD_SWISH = OneOf(
    (
        call("Mul", _X, call("HardSigmoid", _X, where=_has_slope_of_hard_swish)),
        product(_X, _HARD_GATE, 1 / 6),
    )
)

_SWISH = call("Mul", _X, call("Sigmoid", _X))
_SCALED_SWISH = call("Mul", _X, call("Sigmoid", call("Mul", _X, Scalar(label="slope"))))
_MISH = call("Mul", _X, call("Tanh", call("Softplus", _X)))

_ERF_GELU = product(_X, call("Add", call("Erf", scaled(_X, 1 / sqrt(2))), Scalar(1.0)), 0.5)

_CUBE = OneOf((call("Pow", _X, Scalar(3.0)), call("Mul", call("Mul", _X, _X), _X)))
_TANH_ARGUMENT = OneOf(
    (
        scaled(call("Add", _X, scaled(_CUBE, 0.044715)), sqrt(2 / pi)),
        product(_X, call("Add", product(_X, _X, 0.044715), Scalar(1.0)), sqrt(2 / pi)),
    )
)
_TANH_GELU = product(_X, call("Add", call("Tanh", _TANH_ARGUMENT), Scalar(1.0)), 0.5)


class FuseActivations(PatternPass):
    """Replace arithmetic by the activation function it computes.

    Constants must have the value of the formula, or be of one element where
    their data was stripped.  Factors may stand in any order.

    1. ``x * Sigmoid(x)`` → ``Swish(x)``
    2. ``Clip(x + 3, 0, 6) / 6`` → ``HardSigmoid(x)``; that times ``x``, and ``x * HardSigmoid(x)`` → ``HardSwish(x)``
    3. ``0.5 * x * (1 + Erf(x / √2))`` → ``Gelu(x)``
    4. ``0.5 * x * (1 + Tanh(√(2/π) * (x + 0.044715 * x³)))`` → ``Gelu(x) {approximate: "tanh"}``
    5. ``x * Sigmoid(1.702 * x)`` → ``Gelu(x) {approximate: "quick"}``; another slope → ``Swish(x) {alpha}``
    6. ``x * Tanh(Softplus(x))`` → ``Mish(x)``
    """

    rules = (
        Rule(_SWISH, _becomes("Swish")),
        Rule(_SCALED_SWISH, _becomes_scaled_swish),
        Rule(_MISH, _becomes("Mish")),
        Rule(_ERF_GELU, _becomes("Gelu", approximate="none")),
        Rule(_TANH_GELU, _becomes("Gelu", approximate="tanh")),
        Rule(_HARD_SWISH, _becomes("HardSwish")),
        Rule(scaled(_HARD_GATE, 1 / 6), _becomes("HardSigmoid", alpha=1 / 6, beta=0.5)),
    )
