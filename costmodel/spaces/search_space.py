"""What a space of architectures must say of them, and the contract checked around it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from costmodel.errors import GraphError, UsageError
from costmodel.graph import CellGraph, OpGraph

if TYPE_CHECKING:
    import torch

__all__ = ["SearchSpace"]


class SearchSpace(ABC):
    """Architectures that a search chooses from, each written as a string.

    A plug-in writes the methods that begin with an underscore.  Subclass
    :class:`costmodel.spaces.testing.SearchSpaceConformance` to test one.
    """

    name: str
    """How it is asked for."""

    operations: tuple[str, ...]
    """What the operations of a cell are called; :class:`~costmodel.graph.CellGraph` has indices into it."""

    choices: tuple[int, ...]
    """The decisions that make an architecture, each by how many options it has."""

    @abstractmethod
    def _decisions_of(self, arch: str) -> Sequence[int]:
        """See :meth:`decisions_of`."""

    @abstractmethod
    def _arch_of(self, decisions: Sequence[int]) -> str:
        """See :meth:`arch_of`; the decisions are of the right number and range."""

    @abstractmethod
    def _cell_graph(self, arch: str) -> CellGraph:
        """See :meth:`cell_graph`."""

    @abstractmethod
    def _op_graph(self, arch: str, batch: int) -> OpGraph:
        """See :meth:`op_graph`."""

    @abstractmethod
    def module(self, arch: str) -> torch.nn.Module:
        """The network as a torch module, untrained.

        Raises:
            UsageError: The text is no architecture of this space.
        """

    def canonical(self, arch: str) -> str:
        """A key that architectures share only if they compute the same function; by default the architecture itself.

        Raises:
            UsageError: The text is no architecture of this space.
        """
        return self.arch_of(self.decisions_of(arch))

    def __contains__(self, arch: object) -> bool:
        if not isinstance(arch, str):
            return False
        try:
            self.decisions_of(arch)
        except UsageError:
            return False
        return True

    def allows(self, decisions: Sequence[int]) -> bool:
        """Whether decisions, each of the right range, make an architecture; by default all do."""
        del decisions
        return True

    def decisions_of(self, arch: str) -> tuple[int, ...]:
        """The option taken in each decision, from 0.

        Raises:
            UsageError: The text is no architecture of this space.
        """
        decisions = tuple(int(option) for option in self._decisions_of(arch))
        self._check(decisions)
        return decisions

    def arch_of(self, decisions: Sequence[int]) -> str:
        """The architecture of one option for each of the :attr:`choices`.

        Raises:
            UsageError: A decision is left out, takes an option that there is not, or does not go with the others.
        """
        self._check(decisions)
        return self._arch_of(decisions)

    def draw(self, rng: np.random.Generator) -> str:
        """A random architecture, all options equally likely; drawn again until the space allows it."""
        while True:
            decisions = [int(rng.integers(options)) for options in self.choices]
            if self.allows(decisions):
                return self.arch_of(decisions)

    def cell_graph(self, arch: str) -> CellGraph:
        """The cell that is searched for, one node an operation.

        Raises:
            UsageError: The text is no architecture of this space.
            GraphError: The plug-in numbers an operation that it does not name.
        """
        cell = self._cell_graph(arch)
        if len(cell) and not 0 <= cell.operations.min() <= cell.operations.max() < len(self.operations):
            raise GraphError(
                f"{self.name}: the cell of {arch!r} has operations numbered {cell.operations.tolist()}, "
                f"but only {len(self.operations)} have a name; mend the plug-in."
            )
        return cell

    def effective_cell(self, arch: str) -> CellGraph:
        """The cell without what has no effect: how accurate a network is can be told from that; by default all of it.

        Raises:
            UsageError: The text is no architecture of this space.
        """
        return self.cell_graph(arch)

    def op_graph(self, arch: str, *, batch: int = 1) -> OpGraph:
        """The whole network, of which a latency can be predicted.

        Raises:
            UsageError: The text is no architecture of this space, or the batch is below 1.
        """
        if batch < 1:
            raise UsageError(f"{self.name}: expected a batch of at least 1, got {batch}.")
        return self._op_graph(arch, batch)

    def _check(self, decisions: Sequence[int]) -> None:
        if len(decisions) != len(self.choices) or not all(
            0 <= option < options for option, options in zip(decisions, self.choices, strict=True)
        ):
            raise UsageError(f"{self.name}: expected a decision below each of {self.choices}, got {tuple(decisions)}.")
        if not self.allows(decisions):
            raise UsageError(f"{self.name}: the decisions {tuple(decisions)} do not go together in this space.")
