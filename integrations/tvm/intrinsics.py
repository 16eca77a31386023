"""TVM's tensor intrinsics, imported without the detour."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any
from unittest import mock

__all__ = ["import_intrinsics"]


def import_intrinsics() -> None:
    """Import what the first tuning context of a process imports anyway, in seconds instead of half a minute or more.

    Each of TVM's 250 intrinsics asks Python twice for the whole stack, and for every frame without a file in it, as the
    import system's are, Python looks through all modules there are.
    """
    module_of = inspect.getmodule

    def found(thing: Any, filename: str | None = None) -> Any:
        has_no_file = inspect.isframe(thing) and inspect.getfile(thing).startswith("<")
        return None if has_no_file else module_of(thing, filename)

    with mock.patch.object(inspect, "getmodule", found):
        import_module("tvm.s_tir.tensor_intrin")
