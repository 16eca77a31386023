"""Integer arithmetic on shapes: the few operators that exporters compute a reshape's target with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

from costmodel.graph.op_graph import Op

__all__ = ["evaluated"]

Array = NDArray[np.generic]

_MOST_ELEMENTS = 1024


def evaluated(op: Op, operands: Sequence[Array | None], shape: tuple[int, ...] | None) -> Array | None:
    """The first result of ``op``, when it is small and cheap to compute.

    Args:
        op: The operation.
        operands: Elements of each operand, ``None`` where left out or not kept.
        shape: Shape of the first result, which the elements must agree with.

    Returns:
        The elements, or ``None`` when the operator is not among those computed, an
        operand is not known, or the operands contradict the attributes or ``shape``.
    """
    arrays = [data for data in operands if data is not None]
    if shape is None or not arrays or len(arrays) < len(operands) or op.op_type not in _COMPUTED:
        return None
    if max(prod(shape), *(array.size for array in arrays)) > _MOST_ELEMENTS:
        return None
    try:
        with np.errstate(all="ignore"):
            result = _computed(op, arrays, shape)
    except (ArithmeticError, IndexError, KeyError, TypeError, ValueError):
        return None
    return result if result.shape == shape else None


def _computed(op: Op, arrays: Sequence[Array], shape: tuple[int, ...]) -> Array:
    if op.op_type in _RESHAPES:
        return arrays[0].reshape(shape)
    if op.op_type in _ELEMENTWISE:
        return np.asarray(_ELEMENTWISE[op.op_type](*arrays))
    return np.asarray(_BY_ATTRIBUTES[op.op_type](op, arrays))


def _gather(op: Op, operands: Sequence[Array]) -> Array:
    return np.take(operands[0], operands[1].astype(np.int64), axis=op.attr_int("axis", 0))


def _concat(op: Op, operands: Sequence[Array]) -> Array:
    return np.concatenate(operands, axis=op.attr_int("axis", 0))


def _slice(op: Op, operands: Sequence[Array]) -> Array:
    data, *settings = operands
    starts, ends, axes, steps = (
        tuple(int(item) for item in settings[index].flat) if index < len(settings) else op.attr_ints(name)
        for index, name in enumerate(("starts", "ends", "axes", "steps"))
    )
    axes = axes or tuple(range(len(starts)))
    steps = steps or (1,) * len(starts)
    window = [slice(None)] * data.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        runs_off_the_front = step < 0 and end < -data.shape[axis]
        window[axis] = slice(start, None if runs_off_the_front else end, step)
    return data[tuple(window)]


def _transpose(op: Op, operands: Sequence[Array]) -> Array:
    return operands[0].transpose(op.attr_ints("perm") or None)


def _cast(op: Op, operands: Sequence[Array]) -> Array:
    return operands[0].astype(_CAST_TARGETS[op.attr_int("to", 0)])


def _divide(numerator: Array, denominator: Array) -> Array:
    if numerator.dtype.kind not in "iu":
        return np.asarray(np.divide(numerator, denominator))
    towards_zero = np.abs(numerator) // np.abs(denominator)
    return np.asarray(towards_zero * np.sign(numerator) * np.sign(denominator))


def _range(start: Array, limit: Array, delta: Array) -> Array:
    return np.asarray(np.arange(start.item(), limit.item(), delta.item(), dtype=start.dtype))


_CAST_TARGETS: dict[int, type[np.generic]] = {1: np.float32, 6: np.int32, 7: np.int64, 9: np.bool_, 11: np.float64}
"""ONNX element type codes."""

_RESHAPES = frozenset({"Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"})

_BY_ATTRIBUTES: dict[str, Callable[[Op, Sequence[Array]], Array]] = {
    "Cast": _cast,
    "Concat": _concat,
    "Gather": _gather,
    "Slice": _slice,
    "Transpose": _transpose,
}

_ELEMENTWISE: dict[str, Callable[..., Array]] = {
    "Add": np.add,
    "Ceil": np.ceil,
    "Div": _divide,
    "Floor": np.floor,
    "Max": np.maximum,
    "Min": np.minimum,
    "Mul": np.multiply,
    "Neg": np.negative,
    "Range": _range,
    "Reciprocal": np.reciprocal,
    "Sqrt": np.sqrt,
    "Sub": np.subtract,
}

_COMPUTED = _RESHAPES | _BY_ATTRIBUTES.keys() | _ELEMENTWISE.keys()
