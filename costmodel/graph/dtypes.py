"""Element types, under the names that numpy and torch share."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["DType"]


class DType(StrEnum):
    """Element type of a tensor.  The value is its canonical name, e.g. ``"float32"``."""

    FLOAT64 = "float64"
    FLOAT32 = "float32"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"
    FLOAT8 = "float8"
    FLOAT4 = "float4"
    COMPLEX64 = "complex64"
    COMPLEX128 = "complex128"
    INT64 = "int64"
    INT32 = "int32"
    INT16 = "int16"
    INT8 = "int8"
    INT4 = "int4"
    UINT64 = "uint64"
    UINT32 = "uint32"
    UINT16 = "uint16"
    UINT8 = "uint8"
    UINT4 = "uint4"
    BOOL = "bool"
    STRING = "string"
    UNKNOWN = "unknown"

    @property
    def itemsize(self) -> float:
        """Bytes per element; half a byte for the 4-bit types.  Strings count as a pointer."""
        return _ITEMSIZE[self]

    @property
    def is_float(self) -> bool:
        """Whether elements are real or complex floating-point numbers."""
        return self.value.startswith(("float", "bfloat", "complex"))

    @property
    def is_quantized(self) -> bool:
        """Whether elements are 8 bits wide or fewer (the types a quantised kernel computes on)."""
        return self in _QUANTIZED


_ITEMSIZE: dict[DType, float] = {
    DType.FLOAT64: 8,
    DType.FLOAT32: 4,
    DType.FLOAT16: 2,
    DType.BFLOAT16: 2,
    DType.FLOAT8: 1,
    DType.FLOAT4: 0.5,
    DType.COMPLEX64: 8,
    DType.COMPLEX128: 16,
    DType.INT64: 8,
    DType.INT32: 4,
    DType.INT16: 2,
    DType.INT8: 1,
    DType.INT4: 0.5,
    DType.UINT64: 8,
    DType.UINT32: 4,
    DType.UINT16: 2,
    DType.UINT8: 1,
    DType.UINT4: 0.5,
    DType.BOOL: 1,
    DType.STRING: 8,
    DType.UNKNOWN: 4,
}
_QUANTIZED = {DType.FLOAT8, DType.FLOAT4, DType.INT8, DType.INT4, DType.UINT8, DType.UINT4}
