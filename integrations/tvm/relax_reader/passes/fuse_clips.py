"""One clip for two in a row."""

from __future__ import annotations

from costmodel.graph.passes import PatternPass, Rule
from costmodel.graph.passes.patterns import Match, Tensor, call
from costmodel.graph.passes.rewriting import Rewriter

__all__ = ["FuseClips"]

_CLIPS = call("Clip", call("Clip", Tensor("x"), label="inner"), label="outer")


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


class FuseClips(PatternPass):
    """Replace two clips in a row by the one that does the same: frontends cut off below and above one after the other.

    1. ``Clip(Clip(x, 0, inf), -inf, 6)`` → ``Clip(x, 0, 6)``
    """

    rules = (Rule(_CLIPS, _to_one),)
