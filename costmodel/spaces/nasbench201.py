"""NAS-Bench-201: a cell of four nodes, whose six edges each have one of five operations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from costmodel.data.families.nasbench201 import nasbench201_network
from costmodel.data.families.nasbench201_cell import OPERATIONS, Cell
from costmodel.graph import CellGraph, OpGraph, load_graph
from costmodel.spaces.search_space import SearchSpace

if TYPE_CHECKING:
    import torch

__all__ = ["NASBench201"]

_INPUT, _OUTPUT, _FIRST_OPERATION = 0, 1, 2
_OUTPUT_NODE = 3


class NASBench201(SearchSpace):
    """The 15,625 cells of Dong and Yang, "NAS-Bench-201", ICLR 2020, in the published form of text.

    The graph of a cell has eight nodes: its input, its six operations and its output.  An operation that leads to a
    node of the cell feeds the operations that start there.

    Networks are those that were measured: three stages of five cells, 16 channels in the first, images of 32 x 32, ten
    classes, and operations without an effect built all the same.
    """

    name = "nasbench201"
    operations = ("input", "output", *OPERATIONS)
    choices = (len(OPERATIONS),) * 6

    def canonical(self, arch: str) -> str:
        """See :meth:`SearchSpace.canonical`: the sum that the output is, of sums in it in turn.

        Operations ``none``, and what has nothing but them in front, are left out; a ``skip_connect`` is what it skips
        from; the order of terms does not matter.  4,930 forms are left of the 15,625 cells.
        """
        cell = Cell.parse(arch)
        terms: dict[int, tuple[str, ...]] = {0: ("x",)}
        for target in range(1, _OUTPUT_NODE + 1):
            found: list[str] = []
            for edge in cell.edges:
                if edge.target != target or edge.operation == "none" or not terms[edge.source]:
                    continue
                if edge.operation == "skip_connect":
                    found += terms[edge.source]
                else:
                    found.append(f"{edge.operation}({'+'.join(terms[edge.source])})")
            terms[target] = tuple(sorted(found))
        return "+".join(terms[_OUTPUT_NODE])

    def _decisions_of(self, arch: str) -> Sequence[int]:
        return [OPERATIONS.index(edge.operation) for edge in Cell.parse(arch).edges]

    def _arch_of(self, decisions: Sequence[int]) -> str:
        taken = iter(decisions)
        nodes = [
            "".join(f"|{OPERATIONS[next(taken)]}~{source}" for source in range(target)) + "|"
            for target in range(1, _OUTPUT_NODE + 1)
        ]
        return "+".join(nodes)

    def _cell_graph(self, arch: str) -> CellGraph:
        edges = Cell.parse(arch).edges
        last = len(edges) + 1
        pairs = [(0, place) for place, edge in enumerate(edges, start=1) if edge.source == 0]
        pairs += [
            (place, other_place)
            for place, edge in enumerate(edges, start=1)
            for other_place, other in enumerate(edges, start=1)
            if other.source == edge.target
        ]
        pairs += [(place, last) for place, edge in enumerate(edges, start=1) if edge.target == _OUTPUT_NODE]
        operations = [_FIRST_OPERATION + OPERATIONS.index(edge.operation) for edge in edges]
        return CellGraph(np.array([_INPUT, *operations, _OUTPUT]), np.array(sorted(pairs)))

    def effective_cell(self, arch: str) -> CellGraph:
        """See :meth:`SearchSpace.effective_cell`: without ``none``, and a ``skip_connect`` is an edge."""
        none, skip = (_FIRST_OPERATION + OPERATIONS.index(name) for name in ("none", "skip_connect"))
        return self.cell_graph(arch).without({none}, bypassed={skip})

    def _op_graph(self, arch: str, batch: int) -> OpGraph:
        return load_graph(nasbench201_network(arch, batch=batch, every_edge=True, weights=False))

    def module(self, arch: str) -> torch.nn.Module:
        """See :meth:`SearchSpace.module`."""
        from costmodel.spaces.nasbench201_module import NASBench201Network

        return NASBench201Network(Cell.parse(arch))
