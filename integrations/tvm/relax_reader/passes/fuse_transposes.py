"""One transposition for two in a row."""

from __future__ import annotations

from costmodel.graph.passes import PatternPass, Rule
from costmodel.graph.passes.patterns import Match, Tensor, call
from costmodel.graph.passes.rewriting import Rewriter

__all__ = ["FuseTransposes"]

_TRANSPOSES = call("Transpose", call("Transpose", Tensor("x"), label="inner"), label="outer")


def _to_one(match: Match, edits: Rewriter) -> bool:
    inner, outer = (edits.wiring.permutation(match.labelled[label]) for label in ("inner", "outer"))
    if inner is None or outer is None:
        return False
    edits.fuse(match.ops, "Transpose", (match.value("x"),), {"perm": tuple(inner[axis] for axis in outer)})
    return True


class FuseTransposes(PatternPass):
    """Replace two transpositions in a row by the one that does the same; one that moves nothing is dropped later.

    1. ``Transpose(Transpose(x) {perm: (2, 0, 1)}) {perm: (1, 0, 2)}`` → ``Transpose(x) {perm: (0, 2, 1)}``
    """

    rules = (Rule(_TRANSPOSES, _to_one),)
