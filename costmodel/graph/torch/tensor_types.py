"""Shapes and element types as torch has them."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch

from costmodel.errors import UnsupportedModelError
from costmodel.graph.dtypes import DType
from costmodel.graph.lowering import named_dtype

__all__ = ["concrete", "dtype_of", "shape_of"]


@cache
def dtype_of(dtype: torch.dtype) -> DType:
    """Our name of a torch element type; the 8-bit float formats share one."""
    return named_dtype(str(dtype).removeprefix("torch."))


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
