"""Recognises the softplus that was spelt out."""

from __future__ import annotations

from costmodel.graph.passes import PatternPass, Rule
from costmodel.graph.passes.patterns import Match, Scalar, Tensor, call
from costmodel.graph.passes.rewriting import Rewriter

__all__ = ["FuseSoftplus"]

_X = Tensor("x")
_SOFTPLUS = call("Where", call("Greater", _X, Scalar()), _X, call("Log", call("Add", call("Exp", _X), Scalar(1.0))))


def _to_softplus(match: Match, edits: Rewriter) -> bool:
    edits.fuse(match.ops, "Softplus", (match.value("x"),))
    return True


class FuseSoftplus(PatternPass):
    """Replace the formula, and the straight line that stands in for it where it would overflow, by the activation.

    1. ``Where(x > 20, x, Log(Exp(x) + 1))`` → ``Softplus(x)``
    """

    rules = (Rule(_SOFTPLUS, _to_softplus),)
