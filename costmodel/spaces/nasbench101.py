"""NAS-Bench-101: a cell of up to seven operations and nine edges, any that lead forward."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, permutations, product
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool

from costmodel.errors import UsageError
from costmodel.graph import CellGraph, OpGraph, load_graph
from costmodel.spaces.search_space import SearchSpace

if TYPE_CHECKING:
    import torch

__all__ = ["NASBench101"]

_OPERATIONS = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
_INPUT, _OUTPUT, _FIRST_OPERATION = 0, 1, 2
_MOST_NODES, _MOST_EDGES = 7, 9
_EDGES = tuple(combinations(range(_MOST_NODES), 2))
"""Every edge there may be, as (producer, consumer)."""


class NASBench101(SearchSpace):
    """The 423,624 cells of Ying et al., "NAS-Bench-101", ICML 2019.

    An architecture is written as its operations between input and output, and the rows of its adjacency matrix::

        conv3x3-bn-relu,maxpool3x3:0110/0011/0001/0000

    It may have fewer than seven nodes, and nodes that no way from the input to the output leads through; those count
    for nothing.  Decisions are the 21 edges, each there or not, and the five operations.
    """

    name = "nasbench101"
    operations = ("input", "output", *_OPERATIONS)
    choices = (2,) * len(_EDGES) + (len(_OPERATIONS),) * (_MOST_NODES - 2)

    def arch_of_cell(self, operations: Sequence[str], matrix: Bool[np.ndarray, "nodes nodes"]) -> str:
        """A cell as text.

        Args:
            operations: Of all nodes, ``"input"`` first and ``"output"`` last, as the benchmark has them.
            matrix: Whether a node (row) feeds another (column).

        Raises:
            UsageError: That is no cell of this space.
        """
        rows = "/".join("".join("01"[int(there)] for there in row) for row in matrix)
        arch = f"{','.join(operations[1:-1])}:{rows}"
        self.decisions_of(arch)
        return arch

    def canonical(self, arch: str) -> str:
        """See :meth:`SearchSpace.canonical`: of all orders of the effective operations, the first text."""
        cell = self.cell_graph(arch)
        last = len(cell) - 1
        texts = []
        for order in permutations(range(1, last)):
            place = {0: 0, last: last, **{node: index for index, node in enumerate(order, start=1)}}
            edges = sorted((place[producer], place[consumer]) for producer, consumer in cell.edges.tolist())
            names = [self.operations[cell.operations[node]] for node in order]
            texts.append(f"{','.join(names)}:{','.join(f'{a}-{b}' for a, b in edges)}")
        return min(texts)

    def allows(self, decisions: Sequence[int]) -> bool:
        """See :meth:`SearchSpace.allows`: input and output are joined, by at most nine edges that count."""
        edges = [edge for edge, there in zip(_EDGES, decisions, strict=False) if there]
        cell = CellGraph(np.arange(_MOST_NODES), np.array(edges, dtype=np.int64).reshape(-1, 2)).without(())
        return 0 < len(cell.edges) <= _MOST_EDGES

    def _decisions_of(self, arch: str) -> Sequence[int]:
        names, separator, text = arch.partition(":")
        operations = names.split(",") if names else []
        rows = text.split("/")
        count = len(operations) + 2
        is_matrix = len(rows) == count <= _MOST_NODES and all(
            len(row) == count and set(row) <= {"0", "1"} for row in rows
        )
        if not (separator and is_matrix and set(operations) <= set(_OPERATIONS)):
            raise UsageError(
                f"{self.name}: expected operations and a matrix of at most {_MOST_NODES} rows, such as "
                f"'conv3x3-bn-relu,maxpool3x3:0110/0011/0001/0000', got {arch!r}."
            )
        if any(rows[a][b] == "1" for a, b in product(range(count), repeat=2) if a >= b):
            raise UsageError(f"{self.name}: expected edges that lead forward, above the diagonal, got {arch!r}.")
        # The last node is the output however many there are; nodes that a smaller cell lacks come before it.
        place = [*range(count - 1), _MOST_NODES - 1]
        there = {(place[a], place[b]) for a, b in combinations(range(count), 2) if rows[a][b] == "1"}
        padding = [0] * (_MOST_NODES - count)
        return [*(int(edge in there) for edge in _EDGES), *map(_OPERATIONS.index, operations), *padding]

    def _arch_of(self, decisions: Sequence[int]) -> str:
        rows = [["0"] * _MOST_NODES for _ in range(_MOST_NODES)]
        for (producer, consumer), there in zip(_EDGES, decisions, strict=False):
            rows[producer][consumer] = str(there)
        names = [_OPERATIONS[option] for option in decisions[len(_EDGES) :]]
        return f"{','.join(names)}:{'/'.join(''.join(row) for row in rows)}"

    def _cell_graph(self, arch: str) -> CellGraph:
        decisions = self.decisions_of(arch)
        edges = [edge for edge, there in zip(_EDGES, decisions, strict=False) if there]
        interior = [_FIRST_OPERATION + option for option in decisions[len(_EDGES) :]]
        return CellGraph(np.array([_INPUT, *interior, _OUTPUT]), np.array(edges)).without(())

    def _op_graph(self, arch: str, batch: int) -> OpGraph:
        import torch

        with torch.device("meta"):
            return load_graph(self.module(arch), example_inputs=(torch.zeros(batch, 3, 32, 32),))

    def module(self, arch: str) -> torch.nn.Module:
        """See :meth:`SearchSpace.module`."""
        from costmodel.spaces.nasbench101_module import NASBench101Network

        cell = self.cell_graph(arch)
        return NASBench101Network([self.operations[kind] for kind in cell.operations], cell.edges)
