"""Folds what scales and shifts each channel into the convolution or product before it."""

from __future__ import annotations

from costmodel.graph.op_graph import Op, OpGraph, Value, ValueKind
from costmodel.graph.passes.base import Pass
from costmodel.graph.passes.matching import Wiring
from costmodel.graph.passes.rewriting import Rewriter

__all__ = ["FoldAffine"]


class FoldAffine(Pass):
    """Fold batch norms and per-channel weights into the linear operation or batch norm whose result they alone read.

    Weights keep their shapes, so folding a factor leaves the operation as it is;
    folding a shift gives it a bias if it has none.  A batch norm that follows
    nothing linear stays, and so does a factor after ``Gemm`` (layer scale): no
    runtime folds that one.

    1. ``BatchNormalization(Conv(x, w), ...)`` → ``Conv(x, w, bias)``; as well for ``ConvTranspose`` and ``Gemm``
    2. ``Conv(x, w) * scale + shift``, both per channel → ``Conv(x, w, bias)``
    3. ``Gemm(x, w) + shift``, per column → ``Gemm(x, w, shift)``
    4. ``BatchNormalization(x, ...) * scale + shift``, both per channel → ``BatchNormalization(x, ...)``
    """

    def run(self, graph: OpGraph) -> OpGraph:
        """See :meth:`Pass.run`."""
        edits = Rewriter(graph)
        for op in graph.ops:
            if op.op_type not in _AFFINE or op.domain or edits.is_taken(op):
                continue
            if _has_foldable_weights(op, edits.wiring):
                _fold_followers(op, edits)
        return edits.apply()


_AFFINE = frozenset({"BatchNormalization", "Conv", "ConvTranspose", "Gemm"})
_FACTORS = frozenset({"Div", "Mul"})
_SHIFTS = frozenset({"Add", "BatchNormalization", "Sub"})
_FOLLOWERS = _FACTORS | _SHIFTS


def _has_foldable_weights(op: Op, wiring: Wiring) -> bool:
    if op.op_type == "BatchNormalization" and not _is_at_inference(op, wiring):
        return False
    weights_are_known = all(wiring.is_weight(name) for name in op.inputs[1:] if name)
    return weights_are_known and not wiring.graph.values[op.inputs[1]].dtype.is_quantized


def _fold_followers(linear: Op, edits: Rewriter) -> None:
    wiring = edits.wiring
    chain = [linear]
    shift = ""
    while (follower := wiring.sole_reader(chain[-1].outputs[0])) is not None:
        weights = _foldable_weights(linear, follower, chain[-1].outputs[0], wiring)
        if not weights:
            break
        if follower.op_type in _SHIFTS:
            shift = weights[-1]
        chain.append(follower)
    if len(chain) > 1:
        inputs = linear.inputs
        if shift and not any(inputs[2:]):
            inputs = (*inputs[:2], _bias(linear, shift, edits))
        edits.fuse(chain, linear.op_type, inputs, linear.attributes, main=linear)


def _foldable_weights(linear: Op, follower: Op, result: str, wiring: Wiring) -> tuple[str, ...]:
    """The weights with which ``follower`` scales or shifts each channel of ``result``; empty if it does not."""
    shape = wiring.shape(result)
    if follower.domain or follower.op_type not in _FOLLOWERS or wiring.shape(follower.outputs[0]) != shape:
        return ()
    if shape is None or len(shape) < 2 or (linear.op_type == "Gemm" and follower.op_type in _FACTORS):
        return ()
    if follower.op_type == "BatchNormalization":
        return _batch_norm_weights(linear, follower, result, wiring)
    left, right = follower.inputs
    weight = right if left == result else left
    if weight == result or (follower.op_type in ("Div", "Sub") and weight == left):
        return ()
    axis = len(shape) - 1 if linear.op_type == "Gemm" else 1
    return (weight,) if wiring.is_weight(weight) and _is_per_channel(wiring.shape(weight), shape, axis) else ()


def _batch_norm_weights(linear: Op, norm: Op, result: str, wiring: Wiring) -> tuple[str, ...]:
    if linear.op_type == "Gemm" and len(wiring.shape(result) or ()) != 2:
        return ()
    if norm.inputs[0] != result or not _is_at_inference(norm, wiring):
        return ()
    scale, bias, mean, variance = norm.inputs[1:5]
    return (mean, variance, scale, bias) if all(map(wiring.is_weight, norm.inputs[1:])) else ()


def _is_at_inference(norm: Op, wiring: Wiring) -> bool:
    return not norm.attr_int("training_mode", 0) and not any(map(wiring.is_needed, norm.outputs[1:]))


def _is_per_channel(weight: tuple[int, ...] | None, result: tuple[int, ...], axis: int) -> bool:
    if weight is None or len(weight) > len(result):
        return False
    aligned = (1,) * (len(result) - len(weight)) + weight
    return all(size == 1 or (position == axis and size == result[axis]) for position, size in enumerate(aligned))


def _bias(linear: Op, shift: str, edits: Rewriter) -> str:
    """A bias with one element per channel: ``shift`` itself where it has that shape."""
    wiring = edits.wiring
    result = wiring.graph.values[linear.outputs[0]]
    shape = result.shape or ()
    channels = shape[-1] if linear.op_type == "Gemm" else shape[1]
    if wiring.shape(shift) == (channels,):
        return shift
    name = edits.fresh_name(f"{linear.outputs[0]}.bias")
    return edits.declare(Value(name, result.dtype, (channels,), ValueKind.WEIGHT))
