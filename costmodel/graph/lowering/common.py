"""Operators that every framework has in the same sense."""

from __future__ import annotations

from collections.abc import Sequence

from costmodel.graph.dtypes import DType
from costmodel.graph.lowering.emitter import Emitter, Names

__all__ = ["for_dtype", "meshgrid", "softplus"]

_LOGICAL = {"BitwiseAnd": "And", "BitwiseOr": "Or", "BitwiseXor": "Xor", "BitwiseNot": "Not"}


def for_dtype(op_type: str, dtype: DType) -> str:
    """The operator for operands of this type: ONNX has bitwise ones for integers and logical ones for booleans."""
    return _LOGICAL.get(op_type, op_type) if dtype is DType.BOOL else op_type


def softplus(call: Emitter, value: str, beta: float) -> Names:
    """``Softplus``, scaled where ``beta`` is not one; the linear part above the threshold is the same function."""
    if beta == 1:
        return call.result("Softplus", [value])
    factor = call.constant(beta, call.result_dtype)
    scaled = call.step("Mul", [value, factor], call.result_shape)
    return call.result("Div", [call.step("Softplus", [scaled], call.result_shape), factor])


def meshgrid(call: Emitter, axes: Sequence[str], indexing: str) -> Names:
    """``Reshape`` and ``Expand`` of every axis; ``xy`` order swaps the first two."""
    places = list(range(len(axes)))
    if indexing == "xy" and len(axes) > 1:
        places[:2] = 1, 0
    grids = []
    for axis, place in zip(axes, places, strict=True):
        shape = [1] * len(axes)
        shape[place] = max(1, *call.shape(axis)) if call.shape(axis) else 1
        grids.append(call.expand(call.reshape(axis, shape), call.result_shape))
    return tuple(grids)
