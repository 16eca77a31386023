"""Which lowering each operator of a framework has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Lowerings"]

_Lowering = TypeVar("_Lowering", bound=Callable[..., object])
"""Emits the operations of one call and returns the value or values that it makes."""


class Lowerings(Generic[_Lowering]):
    """Lowerings by the names of operators."""

    def __init__(self) -> None:
        self._by_name: dict[str, _Lowering] = {}

    def register(self, *names: str) -> Callable[[_Lowering], _Lowering]:
        """Register the decorated function for operators."""

        def registered(function: _Lowering) -> _Lowering:
            for name in names:
                self._by_name[name] = function
            return function

        return registered

    def get(self, name: str) -> _Lowering | None:
        """The lowering of an operator, if it has one."""
        return self._by_name.get(name)
