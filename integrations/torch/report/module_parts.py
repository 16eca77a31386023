"""Which modules to show, of many: the few that the time divides into."""

from __future__ import annotations

from typing import NamedTuple

from costmodel.integrations.torch.rows import ModuleRow
from costmodel.integrations.torch.work import Work

__all__ = ["ModulePart", "module_parts"]

_LARGE_SHARE = 0.15
"""A module with more of the time than that is shown as those in it."""


class ModulePart(NamedTuple):
    """A module, or what is written in it and in none of those in it.

    Attributes:
        path: Where it is; empty for the network itself.
        work: What it does and how long it takes.
    """

    path: str
    work: Work


def module_parts(root: ModuleRow, platform: str) -> list[ModulePart]:
    """Parts of a network, each operation in one of them; the one that takes longest on ``platform`` first.

    Starting at the network, a module that takes much of the time is divided into the modules in it and what is written
    in itself, unless it has a single operation or no modules in it.
    """
    large_ms = _LARGE_SHARE * root.work.times[platform].latency_ms
    parts: list[ModulePart] = []
    open_modules = [root]
    while open_modules:
        module = open_modules.pop()
        is_large = module is root or module.work.times[platform].latency_ms > large_ms
        if module.children and is_large:
            open_modules += module.children
            if module.own.operations:
                parts.append(ModulePart(module.path, module.own))
        elif module.work.operations:
            parts.append(ModulePart(module.path, module.work))
    return sorted(parts, key=lambda part: part.work.times[platform].latency_ms, reverse=True)
