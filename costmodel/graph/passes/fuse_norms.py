"""Recognises normalisations that were spelt out in reductions and arithmetic."""

from __future__ import annotations

from math import prod

from costmodel.graph.op_graph import AttributeValue, Op
from costmodel.graph.passes.matching import Wiring
from costmodel.graph.passes.pattern_pass import PatternPass, Rule
from costmodel.graph.passes.patterns import Match, OneOf, Pattern, Scalar, Tensor, Weight, call
from costmodel.graph.passes.rewriting import Rewriter

__all__ = ["FuseNorms"]


def _reduces_trailing_axes(op: Op, wiring: Wiring) -> bool:
    shape, axes = wiring.shape(op.inputs[0]), wiring.reduced_axes(op)
    if not shape or not axes or not op.attr_int("keepdims", 1):
        return False
    return axes == tuple(range(len(shape) - len(axes), len(shape)))


def _keeps_dims(op: Op, _wiring: Wiring) -> bool:
    return op.attr_int("keepdims", 1) == 1


def _mean(pattern: Pattern, label: str) -> Pattern:
    return call("ReduceMean", pattern, where=_reduces_trailing_axes, label=label)


def _square(pattern: Pattern) -> Pattern:
    return OneOf((call("Pow", pattern, Scalar(2.0)), call("Mul", pattern, pattern)))


def _over_root(pattern: Pattern, square: Pattern) -> Pattern:
    """``pattern / sqrt(square + epsilon)``, in the spellings exporters use."""
    padded = call("Add", square, Scalar(label="epsilon"))
    root = OneOf((call("Sqrt", padded), call("Pow", padded, Scalar(0.5))))
    inverse = OneOf((call("Reciprocal", root), call("Div", Scalar(1.0), root), call("Pow", padded, Scalar(-0.5))))
    return OneOf((call("Div", pattern, root), call("Mul", pattern, inverse)))


def _with_affine(normal: Pattern) -> Pattern:
    """``normal``, times a weight, plus a weight; each of the two may be missing, the fullest first."""
    scaled = call("Mul", normal, Weight("scale"))
    return OneOf((call("Add", scaled, Weight("bias")), scaled, normal))


_X = Tensor("x")

_CENTRED = call("Sub", _X, _mean(_X, "mean"))
_LAYER_NORM = _with_affine(_over_root(_CENTRED, _mean(_square(_CENTRED), "variance")))

_RMS = _over_root(_X, _mean(_square(_X), "mean"))
_RMS_NORM = OneOf((call("Mul", _RMS, Weight("scale")), _RMS))

_GROUPS = call(
    "InstanceNormalization", call("Reshape", _X), Weight("group_scale"), Weight("group_bias"), label="instance_norm"
)
_GROUP_NORM = _with_affine(call("Reshape", _GROUPS, label="ungrouped"))

_LENGTH = call("ReduceL2", _X, where=_keeps_dims, label="length")
_NONZERO_LENGTH = OneOf(
    (_LENGTH, call("Clip", _LENGTH), call("Max", _LENGTH, Scalar()), call("Add", _LENGTH, Scalar()))
)
_L2_NORM = call("Div", _X, OneOf((_NONZERO_LENGTH, call("Expand", _NONZERO_LENGTH))))


def _to_layer_norm(match: Match, edits: Rewriter) -> bool:
    axes = edits.wiring.reduced_axes(match.labelled["mean"])
    if axes != edits.wiring.reduced_axes(match.labelled["variance"]):
        return False
    return _to_trailing_norm("LayerNormalization", match, edits)


def _to_rms_norm(match: Match, edits: Rewriter) -> bool:
    return _to_trailing_norm("RMSNormalization", match, edits)


def _to_trailing_norm(op_type: str, match: Match, edits: Rewriter) -> bool:
    wiring = edits.wiring
    axis = -len(wiring.reduced_axes(match.labelled["mean"]) or ())
    normalised = prod((wiring.shape(match.value("x")) or ())[axis:])
    if not _affine_weights_have(normalised, match, wiring):
        return False
    attributes: dict[str, AttributeValue] = {"axis": axis}
    epsilon = wiring.number(match.value("epsilon"))
    if epsilon is not None:
        attributes["epsilon"] = epsilon
    edits.fuse(match.ops, op_type, _operands(match), attributes)
    return True


def _to_group_norm(match: Match, edits: Rewriter) -> bool:
    wiring = edits.wiring
    shape = wiring.shape(match.value("x"))
    grouped = wiring.shape(match.labelled["instance_norm"].inputs[0])
    if not shape or not grouped or len(shape) < 2 or len(grouped) < 3 or shape[0] != grouped[0]:
        return False
    if wiring.shape(match.labelled["ungrouped"].outputs[0]) != shape or shape[1] % grouped[1]:
        return False
    if not _affine_weights_have(shape[1], match, wiring):
        return False
    edits.fuse(match.ops, "GroupNormalization", _operands(match), {"num_groups": grouped[1]})
    return True


def _to_l2_norm(match: Match, edits: Rewriter) -> bool:
    axes = edits.wiring.reduced_axes(match.labelled["length"])
    if axes is None or len(axes) != 1:
        return False
    edits.fuse(match.ops, "LpNormalization", (match.value("x"),), {"axis": axes[0], "p": 2})
    return True


def _affine_weights_have(size: int, match: Match, wiring: Wiring) -> bool:
    labels = ("scale", "bias")
    return all(wiring.graph.values[match.value(label)].size == size for label in labels if match.value(label))


def _operands(match: Match) -> tuple[str, str, str]:
    return match.value("x"), match.value("scale"), match.value("bias")


class FuseNorms(PatternPass):
    """Replace reductions and arithmetic by the normalisation they compute.

    Scale and bias are taken in where they are weights of the right size; a
    normalisation without them reads its input only.

    1. ``d = x - ReduceMean(x); d / Sqrt(ReduceMean(d²) + ε) * scale + bias`` → ``LayerNormalization(x, scale, bias)``
    2. ``x / Sqrt(ReduceMean(x²) + ε) * scale`` → ``RMSNormalization(x, scale)``
    3. ``Reshape(InstanceNormalization(Reshape(x))) * scale + bias`` → ``GroupNormalization(x, scale, bias)``
    4. ``x / Expand(Clip(ReduceL2(x)))`` → ``LpNormalization(x)``
    """

    rules = (
        Rule(_LAYER_NORM, _to_layer_norm),
        Rule(_RMS_NORM, _to_rms_norm),
        Rule(_GROUP_NORM, _to_group_norm),
        Rule(_L2_NORM, _to_l2_norm),
    )
