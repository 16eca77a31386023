"""Recognises the hard sigmoid, for which Relax has no operator."""

from __future__ import annotations

from costmodel.graph.op_graph import Op
from costmodel.graph.passes import PatternPass, Rule
from costmodel.graph.passes.matching import Wiring
from costmodel.graph.passes.patterns import Match, Scalar, Tensor, call
from costmodel.graph.passes.rewriting import Rewriter

__all__ = ["FuseHardSigmoid"]


def _clips_between_0_and_1(op: Op, wiring: Wiring) -> bool:
    return [wiring.number(bound) for bound in op.inputs[1:]] == [0, 1]


_SLOPED = call("Mul", Tensor("x"), Scalar(label="slope"))
_HARD_SIGMOID = call("Clip", call("Add", _SLOPED, Scalar(label="offset")), where=_clips_between_0_and_1)


def _to_hard_sigmoid(match: Match, edits: Rewriter) -> bool:
    slope, offset = (edits.wiring.number(match.value(label)) for label in ("slope", "offset"))
    if slope is None or offset is None:
        return False
    edits.fuse(match.ops, "HardSigmoid", (match.value("x"),), {"alpha": float(slope), "beta": float(offset)})
    return True


class FuseHardSigmoid(PatternPass):
    """Replace a slope, an offset and a clip by the activation; a convolution would take in the first two otherwise.

    1. ``Clip(x * a + b, 0, 1)`` → ``HardSigmoid(x) {alpha: a, beta: b}``
    """

    rules = (Rule(_HARD_SIGMOID, _to_hard_sigmoid),)
