"""Between ONNX's messages for tensors and their plain Python counterparts."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from costmodel.graph.dtypes import DType
from costmodel.graph.op_graph import MAX_KEPT_ELEMENTS

__all__ = ["concrete_shape", "dtype_of", "kept_elements", "tensor_type"]

_SPELLED_ALIKE = {"FLOAT": DType.FLOAT32, "DOUBLE": DType.FLOAT64}
_NARROWER_THAN_ANY = {"INT2": DType.INT4, "UINT2": DType.UINT4}  # DType has no 2-bit types


def _dtype(name: str) -> DType:
    if name in _SPELLED_ALIKE:
        return _SPELLED_ALIKE[name]
    if name in _NARROWER_THAN_ANY:
        return _NARROWER_THAN_ANY[name]
    for family in ("FLOAT8", "FLOAT6", "FLOAT4"):
        if name.startswith(family):
            return DType.FLOAT4 if family == "FLOAT4" else DType.FLOAT8
    return DType(name.lower()) if name.lower() in set(DType) else DType.UNKNOWN


_DTYPES: dict[int, DType] = {number: _dtype(name) for name, number in onnx.TensorProto.DataType.items()}


def dtype_of(elem_type: int) -> DType:
    """The element type behind ONNX's number for it; ``UNKNOWN`` for 0 and for numbers ONNX does not define.

    The 6-bit floats count as 8-bit ones and the 2-bit integers as 4-bit ones.
    """
    return _DTYPES.get(elem_type, DType.UNKNOWN)


def tensor_type(elem_type: int, shape: Sequence[int] | None) -> onnx.TypeProto:
    """The ONNX type of a tensor of ``shape``, of unknown rank when that is ``None``."""
    made = onnx.TypeProto()
    made.tensor_type.elem_type = elem_type
    if shape is not None:
        made.tensor_type.shape.SetInParent()
        for size in shape:
            made.tensor_type.shape.dim.add().dim_value = size
    return made


def concrete_shape(type_: onnx.TypeProto | None) -> tuple[int, ...] | None:
    """The sizes of a tensor's dims; ``None`` when any is open, or the type is no tensor's."""
    if type_ is None or not type_.HasField("tensor_type") or not type_.tensor_type.HasField("shape"):
        return None
    dims = type_.tensor_type.shape.dim
    sizes = tuple([dim.dim_value for dim in dims])  # 0 for an open one
    is_open = (
        bool(sizes) and min(sizes) <= 0 and any(dim.dim_value < 0 or not dim.HasField("dim_value") for dim in dims)
    )
    return None if is_open else sizes


def kept_elements(tensor: onnx.TensorProto) -> NDArray[np.generic] | None:
    """The elements of a small tensor; ``None`` when it is large, not numeric, stored elsewhere or does not add up."""
    if prod(tensor.dims) > MAX_KEPT_ELEMENTS or tensor.data_type == onnx.TensorProto.STRING:
        return None
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        return None
    try:
        return numpy_helper.to_array(tensor)
    except (ValueError, TypeError, KeyError, OverflowError):  # fewer elements than its dims promise, unknown type
        return None
