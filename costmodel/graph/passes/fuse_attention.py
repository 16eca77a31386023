"""Recognises scaled dot-product attention that was spelt out in matrix products and a softmax."""

from __future__ import annotations

from dataclasses import replace
from math import isclose

from costmodel.graph.op_graph import AttributeValue, Op
from costmodel.graph.passes.matching import Wiring
from costmodel.graph.passes.pattern_pass import PatternPass, Rule
from costmodel.graph.passes.patterns import Match, OneOf, Pattern, Scalar, Tensor, call, scaled
from costmodel.graph.passes.rewriting import Rewriter

__all__ = ["FuseAttention"]


def _is_over_last_axis(op: Op, wiring: Wiring) -> bool:
    shape = wiring.shape(op.inputs[0])
    return shape is not None and op.attr_int("axis", -1) in (-1, len(shape) - 1)


def _maybe_scaled(pattern: Pattern) -> Pattern:
    return OneOf((scaled(pattern), pattern))


_KEYS = _maybe_scaled(call("Transpose", _maybe_scaled(Tensor("k")), label="transpose"))
_SCORES = _maybe_scaled(call("MatMul", _maybe_scaled(Tensor("q")), _KEYS, label="scores"))
_MASKED_SCORES = OneOf(
    (
        call("Add", _SCORES, Tensor("mask"), label="masking"),
        call("Where", Tensor("mask"), _SCORES, Scalar(), label="masking"),
        _SCORES,
    )
)
_SOFTMAX = call("Softmax", _MASKED_SCORES, where=_is_over_last_axis)
_GUARDED_SOFTMAX = OneOf((_SOFTMAX, call("Where", call("IsNaN", _SOFTMAX), Scalar(), _SOFTMAX)))
_ATTENTION = call("MatMul", _GUARDED_SOFTMAX, Tensor("v"))


def _to_attention(match: Match, edits: Rewriter) -> bool:
    transpose = match.labelled["transpose"]
    perm = edits.wiring.permutation(transpose)
    if perm is None or not _shapes_agree(match, edits.wiring):
        return False
    fused = list(match.ops)
    keys = match.value("k")
    perm = _last_two_swapped(perm)
    if perm != tuple(range(len(perm))):
        keys = _transpose_by_token(transpose, perm, keys, edits)
        fused.remove(transpose)
    inputs = (match.value("q"), keys, match.value("v"), match.value("mask"))
    edits.fuse(fused, "Attention", inputs, _attributes(match, edits.wiring), main=match.labelled["scores"])
    return True


def _shapes_agree(match: Match, wiring: Wiring) -> bool:
    query = wiring.shape(match.value("q"))
    transposed_keys = wiring.shape(match.labelled["transpose"].outputs[0])
    value = wiring.shape(match.value("v"))
    scores = wiring.shape(match.labelled["scores"].outputs[0])
    if not query or not transposed_keys or not value or not scores or len(query) not in (3, 4):
        return False
    if not query[:-2] == transposed_keys[:-2] == value[:-2]:
        return False
    masking = match.labelled.get("masking")
    return masking is None or wiring.shape(masking.outputs[0]) == scores


def _transpose_by_token(transpose: Op, perm: tuple[int, ...], keys: str, edits: Rewriter) -> str:
    """Put a transpose by ``perm``, which gives (..., tokens, dim), in the place of ``transpose``; name its result."""
    transposed = edits.graph.values[transpose.outputs[0]]
    shape = _last_two_swapped(transposed.shape or ())
    result = edits.declare(replace(transposed, name=edits.fresh_name(f"{transposed.name}.by_token"), shape=shape))
    attributes = {**transpose.attributes, "perm": perm}
    edits.replace((transpose,), (replace(transpose, inputs=(keys,), outputs=(result,), attributes=attributes),))
    return result


def _attributes(match: Match, wiring: Wiring) -> dict[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {}
    query = wiring.shape(match.value("q")) or ()
    scale = _scale(match, wiring)
    if scale is not None and not isclose(scale, query[-1] ** -0.5, rel_tol=1e-3):  # the operator's own default
        attributes["scale"] = scale
    if len(query) == 3:
        attributes["q_num_heads"] = attributes["kv_num_heads"] = 1
    return attributes


def _scale(match: Match, wiring: Wiring) -> float | None:
    """Product of the numbers that queries, keys and scores are multiplied by; ``None`` when one is not known."""
    scale = 1.0
    for op in match.ops:
        if op.op_type not in ("Mul", "Div"):
            continue
        number = wiring.number(next(name for name in reversed(op.inputs) if wiring.is_scalar(name)))
        if not number:
            return None
        scale = scale * number if op.op_type == "Mul" else scale / number
    return scale


def _last_two_swapped(axes: tuple[int, ...]) -> tuple[int, ...]:
    return (*axes[:-2], axes[-1], axes[-2])


class FuseAttention(PatternPass):
    """Replace spelt-out attention by one ``Attention``, queries, keys and values being (batch, heads, tokens, dim).

    Operands of three axes become an ``Attention`` with one head.  The transpose of
    the keys is taken in; where it also moves the heads, a transpose that does
    only that is left in its place.  Without a transpose nothing is fused, because
    the operator wants keys by token.

    1. ``MatMul(Softmax(MatMul(q, Transpose(k)) * s + mask), v)`` → ``Attention(q, k, v, mask) {scale: s}``,
       without ``scale`` where it is the default, one over the root of ``dim``
    2. ``MatMul(Softmax(MatMul(q * √s, Transpose(k) * √s)), v)`` → ``Attention(q, k, v) {scale: s}``
    3. ``Transpose(k) {perm: (0, 2, 3, 1)}`` → ``Transpose(k) {perm: (0, 2, 1, 3)}`` in front of the ``Attention``
    4. ``Where(mask, scores, -inf)`` in place of ``scores + mask``; ``Where(IsNaN(p), 0, p)`` after the softmax
    """

    rules = (Rule(_ATTENTION, _to_attention),)
