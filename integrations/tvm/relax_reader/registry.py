"""Which lowering each Relax operator has."""

from __future__ import annotations

from collections.abc import Callable

from costmodel.graph.lowering import Lowerings
from costmodel.integrations.tvm.relax_reader.call import Call, Names

__all__ = ["Lowering", "lowering_of", "lowers"]

Lowering = Callable[[Call], Names]
"""Emits the operations of one call and returns the value or values that it makes."""

_LOWERINGS = Lowerings[Lowering]()

lowers = _LOWERINGS.register
"""Registers the decorated function for operators, given without ``relax.`` in front."""

lowering_of = _LOWERINGS.get
"""The lowering of an operator, if it has one."""
