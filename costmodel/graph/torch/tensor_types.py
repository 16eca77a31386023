"""Shapes and element types as torch, numpy and ONNX have them."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from costmodel.errors import UnsupportedModelError
from costmodel.graph.dtypes import DType

__all__ = ["concrete", "dtype_of", "numpy_array", "onnx_number", "shape_of"]

_KNOWN = {dtype.value: dtype for dtype in DType}


@cache
def dtype_of(dtype: torch.dtype) -> DType:
    """Our name of a torch element type; the 8-bit float formats share one."""
    name = str(dtype).removeprefix("torch.")
    if name.startswith("float8"):
        return DType.FLOAT8
    if name.startswith("float4"):
        return DType.FLOAT4
    return _KNOWN.get(name, DType.UNKNOWN)


def onnx_number(dtype: DType) -> int:
    """Number of an element type in ``onnx.TensorProto.DataType``; 0, undefined, for one ONNX has several of or none."""
    return _ONNX_NUMBER.get(dtype, 0)


def numpy_array(data: object, dtype: DType) -> NDArray[np.generic]:
    """``data`` with the numpy type of ``dtype``; numbers out of its range become infinite or wrap around."""
    try:
        numpy_type = np.dtype(dtype.value)
    except TypeError:  # bfloat16 and narrower have no numpy type; float32 holds their values exactly
        numpy_type = np.dtype(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(data).astype(numpy_type)


def shape_of(tensor: torch.Tensor) -> tuple[int, ...]:
    """Concrete sizes of a real, fake or meta tensor.

    A symbolic size counts as the size it was traced with.

    Raises:
        UnsupportedModelError: A size depends on the elements of a tensor, so nobody knows it before the run.
    """
    return tuple(size if isinstance(size, int) else int(_hint(size)) for size in tensor.shape)


def concrete(number: object) -> object:
    """A symbolic number as the number it was traced with; anything else unchanged."""
    return _hint(number) if isinstance(number, _SYMBOLIC) else number


_SYMBOLIC = (torch.SymInt, torch.SymFloat, torch.SymBool)


def _hint(number: Any) -> Any:
    if not number.node.has_hint():
        raise UnsupportedModelError(
            f"the size {number} depends on the elements of a tensor (as after nonzero or a boolean mask), so the "
            "network has no fixed graph. Expected sizes that follow from the inputs' sizes; leave that part out, or "
            "export the network to ONNX and fix its sizes there."
        )
    return number.node.hint


_ONNX_NUMBER = {
    DType.FLOAT32: 1,
    DType.UINT8: 2,
    DType.INT8: 3,
    DType.UINT16: 4,
    DType.INT16: 5,
    DType.INT32: 6,
    DType.INT64: 7,
    DType.STRING: 8,
    DType.BOOL: 9,
    DType.FLOAT16: 10,
    DType.FLOAT64: 11,
    DType.UINT32: 12,
    DType.UINT64: 13,
    DType.COMPLEX64: 14,
    DType.COMPLEX128: 15,
    DType.BFLOAT16: 16,
}
