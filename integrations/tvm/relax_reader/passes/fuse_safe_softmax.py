"""Recognises the softmax that PyTorch guards against rows without a finite score."""

from __future__ import annotations

from costmodel.graph.passes import PatternPass, Rule
from costmodel.graph.passes.patterns import Match, Pattern, Tensor, Weight, call
from costmodel.graph.passes.rewriting import Rewriter

__all__ = ["FuseSafeSoftmax"]

_SCORES = Tensor("scores")


def _cast(pattern: Pattern) -> Pattern:
    return call("Cast", pattern)


_IS_EMPTY = call("Not", _cast(call("ReduceMax", _cast(call("Not", call("Equal", _SCORES, Weight("minus infinity")))))))
_SAFE_SOFTMAX = call("Where", _IS_EMPTY, Weight("zeros"), call("Softmax", _SCORES, label="softmax"))


def _to_softmax(match: Match, edits: Rewriter) -> bool:
    softmax = match.labelled["softmax"]
    edits.fuse(match.ops, "Softmax", (match.value("scores"),), softmax.attributes, main=softmax)
    return True


class FuseSafeSoftmax(PatternPass):
    """Replace a softmax, and the zeros in the place of rows in which every score is minus infinity, by the softmax.

    A network whose masks leave something of every row computes the same; no runtime that platforms are measured with
    has the guard.

    1. ``Where(all(scores == -inf), 0, Softmax(scores))`` → ``Softmax(scores)``
    """

    rules = (Rule(_SAFE_SOFTMAX, _to_softmax),)
