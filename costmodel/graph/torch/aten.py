"""ATen calls → ONNX operations: every lowering, and what happens to a call that has none."""

from __future__ import annotations

import torch

from costmodel.graph.torch import (  # noqa: F401 - importing a theme registers its lowerings
    aten_activation,
    aten_attention,
    aten_creation,
    aten_elementwise,
    aten_identity,
    aten_indexing,
    aten_linear,
    aten_normalization,
    aten_pooling,
    aten_recurrent,
    aten_reduction,
    aten_shape,
    aten_window,
)
from costmodel.graph.torch.aten_generic import generic
from costmodel.graph.torch.call import Call, Names
from costmodel.graph.torch.registry import lowering_of

__all__ = ["is_known", "lower"]


def lower(call: Call) -> Names:
    """Emit what ``call`` does and return the value or values that it makes."""
    known = lowering_of(call.schema)
    return known(call) if known is not None else generic(call)


def is_known(schema: torch.FunctionSchema) -> bool:
    """Whether calls of this operator become ONNX operations."""
    return lowering_of(schema) is not None
