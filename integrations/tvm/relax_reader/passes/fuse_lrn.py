"""Recognises local response normalisation, for which Relax has no operator."""

from __future__ import annotations

from costmodel.graph.op_graph import Op
from costmodel.graph.passes import PatternPass, Rule
from costmodel.graph.passes.matching import Wiring
from costmodel.graph.passes.patterns import Match, Scalar, Tensor, call, scaled
from costmodel.graph.passes.rewriting import Rewriter

__all__ = ["FuseLrn"]


def _averages_channels(op: Op, _wiring: Wiring) -> bool:
    """Whether a pooling goes along the first of an image's dimensions after its channels, and no other."""
    kernel = op.attr_ints("kernel_shape")
    return len(kernel) > 1 and kernel[0] > 1 and set(kernel[1:]) == {1} and set(op.attr_ints("strides")) == {1}


_X = Tensor("x")
_SQUARES = call("Reshape|Unsqueeze", call("Mul", _X, _X))
_AVERAGE = call("Reshape|Squeeze", call("AveragePool", _SQUARES, where=_averages_channels, label="average"))
_LRN = call("Div", _X, call("Pow", call("Add", scaled(_AVERAGE), Scalar()), Scalar()))


def _to_lrn(match: Match, edits: Rewriter) -> bool:
    average, wiring = match.labelled["average"], edits.wiring
    image, volume = wiring.shape(match.value("x")), wiring.shape(average.inputs[0])
    if image is None or volume is None or volume != (image[0], 1, *image[1:]):
        return False
    edits.fuse(match.ops, "LRN", (match.value("x"),), {"size": average.attr_ints("kernel_shape")[0]})
    return True


class FuseLrn(PatternPass):
    """Replace the squares, their average over neighbouring channels and the quotient by the normalisation.

    1. ``x / (a * AveragePool(x²) + k) ** b``, the pooling along the channels → ``LRN(x)``
    """

    rules = (Rule(_LRN, _to_lrn),)
