"""One clip for what is cut off below and above in two steps."""

from __future__ import annotations

from costmodel.graph.op_graph import Op
from costmodel.graph.passes import PatternPass, Rule
from costmodel.graph.passes.matching import Wiring
from costmodel.graph.passes.patterns import Match, Scalar, Tensor, call
from costmodel.graph.passes.rewriting import Rewriter

__all__ = ["FuseClips"]


def _has_two_operands(op: Op, _wiring: Wiring) -> bool:
    return len(op.inputs) == 2


_X = Tensor("x")
_CLIPS = call("Clip", call("Clip", _X, label="inner"), label="outer")
_RAISED = call("Max", _X, Scalar(label="low"), where=_has_two_operands)
_EXTREMA = call("Min", _RAISED, Scalar(label="high"), where=_has_two_operands)


def _to_one(match: Match, edits: Rewriter) -> bool:
    bounds = []
    for op in (match.labelled["inner"], match.labelled["outer"]):
        if len(op.inputs) != 3:
            return False
        low, high = (edits.wiring.number(name) for name in op.inputs[1:])
        if low is None or high is None:
            return False
        bounds.append((low, high, *op.inputs[1:]))
    lowest, highest = max(bounds, key=lambda bound: bound[0]), min(bounds, key=lambda bound: bound[1])
    if lowest[0] > highest[1]:
        return False
    edits.fuse(match.ops, "Clip", (match.value("x"), lowest[2], highest[3]))
    return True


def _to_clip(match: Match, edits: Rewriter) -> bool:
    edits.fuse(match.ops, "Clip", (match.value("x"), match.value("low"), match.value("high")))
    return True


class FuseClips(PatternPass):
    """Replace two steps by the one clip that does the same: frontends cut off below and above one after the other.

    1. ``Clip(Clip(x, 0, inf), -inf, 6)`` → ``Clip(x, 0, 6)``
    2. ``Min(Max(x, 0), 6)`` → ``Clip(x, 0, 6)``
    """

    rules = (Rule(_CLIPS, _to_one), Rule(_EXTREMA, _to_clip))
