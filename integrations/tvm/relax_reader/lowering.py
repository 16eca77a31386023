"""Relax calls → ONNX operations: every lowering, and what happens to a call that has none."""

from __future__ import annotations

from costmodel.integrations.tvm.relax_reader import (  # noqa: F401 - importing a theme registers its lowerings
    activation,
    attention,
    creation,
    elementwise,
    identity,
    indexing,
    linear,
    normalization,
    pooling,
    quantization,
    reduction,
    shape,
    tir_functions,
)
from costmodel.integrations.tvm.relax_reader.call import Call, Names
from costmodel.integrations.tvm.relax_reader.generic import generic
from costmodel.integrations.tvm.relax_reader.registry import lowering_of

__all__ = ["lower"]


def lower(call: Call) -> Names:
    """Emit what ``call`` does and return the value or values that it makes."""
    known = lowering_of(call.name)
    return known(call) if known is not None else generic(call)
