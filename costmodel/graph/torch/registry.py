"""Which lowering each ATen operator has."""

from __future__ import annotations

from collections.abc import Callable

import torch

from costmodel.graph.lowering import Lowerings
from costmodel.graph.torch.call import Call, Names, operator_name

__all__ = ["Lowering", "lowering_of", "lowers"]

Lowering = Callable[[Call], Names]
"""Emits the operations of one ATen call and returns the value or values that it makes."""

_LOWERINGS = Lowerings[Lowering]()

lowers = _LOWERINGS.register
"""Registers the decorated function for ATen operators, given without namespace, overload or in-place underscore."""


def lowering_of(schema: torch.FunctionSchema) -> Lowering | None:
    """The lowering of the operator with this signature, if it is one of ATen's and has one."""
    namespace, _ = schema.name.split("::")
    return _LOWERINGS.get(operator_name(schema)) if namespace == "aten" else None
