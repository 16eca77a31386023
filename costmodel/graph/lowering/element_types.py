"""Element types as other frameworks, numpy and ONNX have them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from costmodel.graph.dtypes import DType

__all__ = ["named_dtype", "numpy_array", "onnx_number"]

_KNOWN = {dtype.value: dtype for dtype in DType}


def named_dtype(name: str) -> DType:
    """Our name of an element type that a framework calls ``name``; the 8-bit float formats share one."""
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
