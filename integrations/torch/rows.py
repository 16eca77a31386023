"""The lines of a profile: operations, operators, modules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from costmodel.integrations.torch.work import Work

__all__ = ["ModuleRow", "OperationRow", "OperatorRow"]


@dataclass(frozen=True)
class OperationRow:
    """One operation.

    Attributes:
        name: Unique in the network.
        op_type: Operator, with its domain where that is not ONNX's own.
        module: Path of the module it was written in; empty for the network itself.
        sources: Names of the nodes of the source model that it stands for.
        work: What it does and how long it takes.
    """

    name: str
    op_type: str
    module: str
    sources: tuple[str, ...]
    work: Work


@dataclass(frozen=True)
class OperatorRow:
    """All operations of one operator.

    Attributes:
        op_type: The operator.
        work: What they do and how long they take.
    """

    op_type: str
    work: Work


@dataclass(frozen=True)
class ModuleRow:
    """A module, and those in it.

    Attributes:
        path: Where it is, e.g. ``"layer1.0.conv1"``; empty for the network itself.
        work: All of it, the modules in it included.
        own: What is written in the module itself, and in none of those in it.
        children: The modules in it, in the order they first run.
    """

    path: str
    work: Work
    own: Work
    children: tuple[ModuleRow, ...]

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition(".")[2]

    @property
    def depth(self) -> int:
        """How many modules it is in."""
        return self.path.count(".") + 1 if self.path else 0

    def walk(self) -> Iterator[ModuleRow]:
        """The module, then all that are in it, each before those in it."""
        yield self
        for child in self.children:
            yield from child.walk()
