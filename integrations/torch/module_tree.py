"""Operations → a tree of the modules they were written in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from costmodel.integrations.torch.rows import ModuleRow, OperationRow
from costmodel.integrations.torch.work import Work

__all__ = ["module_tree"]


def module_tree(operations: Iterable[OperationRow], platforms: Sequence[str]) -> ModuleRow:
    """The network as a module, with those in it.

    Args:
        operations: Operations of the network, in the order they run.
        platforms: The platforms that they have times for.
    """
    root = _Branch("")
    for operation in operations:
        branch = root
        for name in operation.module.split(".") if operation.module else ():
            branch = branch.child(name)
        branch.own.append(operation.work)
    return root.finished(platforms)


class _Branch:
    """A module while the tree is built."""

    def __init__(self, path: str) -> None:
        self.own: list[Work] = []
        self._path = path
        self._children: dict[str, _Branch] = {}

    def child(self, name: str) -> _Branch:
        """The module of that name in this one, made if needed."""
        if name not in self._children:
            self._children[name] = _Branch(f"{self._path}.{name}" if self._path else name)
        return self._children[name]

    def finished(self, platforms: Sequence[str]) -> ModuleRow:
        """The module with its totals."""
        children = tuple(child.finished(platforms) for child in self._children.values())
        own = Work.total(self.own, platforms)
        return ModuleRow(self._path, Work.total([own, *(child.work for child in children)], platforms), own, children)
