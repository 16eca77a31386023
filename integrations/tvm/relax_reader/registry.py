"""Which lowering each Relax operator has."""

from __future__ import annotations

from collections.abc import Callable

from costmodel.integrations.tvm.relax_reader.call import Call, Names

__all__ = ["Lowering", "lowering_of", "lowers"]

Lowering = Callable[[Call], Names]
"""Emits the operations of one call and returns the value or values that it makes."""

_LOWERINGS: dict[str, Lowering] = {}


def lowers(*names: str) -> Callable[[Lowering], Lowering]:
    """Register the decorated function for operators, given without ``relax.`` in front."""

    def register(function: Lowering) -> Lowering:
        for name in names:
            _LOWERINGS[name] = function
        return function

    return register


def lowering_of(name: str) -> Lowering | None:
    """The lowering of an operator, if it has one."""
    return _LOWERINGS.get(name)
