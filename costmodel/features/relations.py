"""The four topological relations that NN-Former's attention is limited to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray

from costmodel.errors import GraphError

__all__ = ["MAX_SIBLINGS", "Relation", "Relations"]

_Indices = NDArray[np.int64]

MAX_SIBLINGS = 64
"""How many siblings of one kind an operation sees at most, itself not counted."""


class Relation(IntEnum):
    """What an operation sees, beside itself.  ``A[i, j] = 1`` when operation i feeds operation j."""

    CHILD = 0
    """``A + I``: the operations that read its result."""
    PARENT = 1
    """``Aᵀ + I``: the operations whose results it reads."""
    COMMON_CHILD = 2
    """``A·Aᵀ + I``: siblings that some operation waits for together with it."""
    COMMON_PARENT = 3
    """``Aᵀ·A + I``: siblings that can start as soon as it can."""


@dataclass(frozen=True, slots=True)
class Relations:
    """All (query, key) pairs of the four relations of one graph.

    Only operations take part: a class token or any other global node would have every
    operation as its neighbour and turn both sibling relations into all-to-all attention.

    Where we differ from the paper: of more than ``max_siblings`` siblings of a kind, an operation
    sees the nearest in topological order (the earlier of two equally near).  A tensor read by
    thousands of operations would otherwise make millions of pairs.  Such a pair need not be mutual.

    Attributes:
        num_nodes: Number of operations.
        pairs: For each :class:`Relation` a row of queries over a row of keys, each pair
            once; sorted by query and, for each query, by distance, so that it begins with itself.
    """

    num_nodes: int
    pairs: tuple[Int[np.ndarray, "2 _"], ...]

    @classmethod
    def from_edges(
        cls, edges: Int[np.ndarray, "edges 2"], num_nodes: int, max_siblings: int = MAX_SIBLINGS
    ) -> Relations:
        """The relations of a graph.

        Time and memory grow with ``max_siblings * edges``, whatever the degrees.

        Args:
            edges: Pairs (producer, consumer) of operations numbered in topological order.
            num_nodes: Number of operations.
            max_siblings: Siblings of each kind that an operation sees at most, itself not counted.

        Raises:
            GraphError: An edge names an operation that does not exist.
        """
        if edges.size and not (edges.min() >= 0 and edges.max() < num_nodes):
            raise GraphError(
                f"the edges join operations {edges.min()} to {edges.max()}, "
                f"but the graph has {num_nodes}, numbered from 0; rebuild the features from the OpGraph."
            )
        producer, consumer = _decoded(_sorted_unique(_encoded(*edges.T)))
        return cls(
            num_nodes,
            (
                _neighbours(producer, consumer, num_nodes),
                _neighbours(consumer, producer, num_nodes),
                _siblings(producer, consumer, num_nodes, max_siblings),
                _siblings(consumer, producer, num_nodes, max_siblings),
            ),
        )


def _encoded(query: _Indices, key: _Indices) -> _Indices:
    """One integer per pair that sorts by query, then by distance of the key: itself, the one before, the one after ...

    A single sort of integers then orders, merges and ranks the pairs, many times faster than sorting rows.
    """
    step = key - query
    return (query << 32) | ((step << 1) ^ (step >> 63))


def _decoded(code: _Indices) -> _Indices:
    query, distance = code >> 32, code & 0xFFFFFFFF
    return np.stack([query, query + ((distance >> 1) ^ -(distance & 1))])


def _sorted_unique(code: _Indices) -> _Indices:
    code = np.sort(code)
    return code[np.diff(code, prepend=-1) > 0]


def _neighbours(query: _Indices, key: _Indices, num_nodes: int) -> _Indices:
    """The pairs, and every node with itself."""
    return _decoded(_sorted_unique(_with_self(query, key, num_nodes)))


def _siblings(member: _Indices, relative: _Indices, num_nodes: int, limit: int) -> _Indices:
    """Pairs of members that have a relative in common, the nearest ``limit`` to each member, and each with itself."""
    family = np.lexsort((member, relative))
    member, relative = member[family], relative[family]
    # The nearest of all siblings are among the nearest in each family, so a window around the
    # member's place in the (sorted) family is all that is ever written out.
    place = np.arange(len(member))
    start = np.maximum(np.searchsorted(relative, relative, side="left"), place - limit)
    stop = np.minimum(np.searchsorted(relative, relative, side="right"), place + limit + 1)
    width = stop - start
    query, key = np.repeat(member, width), member[np.repeat(start, width) + _rank(width)]
    code = _sorted_unique(_with_self(query, key, num_nodes))
    return _decoded(code[_rank(np.bincount(code >> 32)) <= limit])


def _with_self(query: _Indices, key: _Indices, num_nodes: int) -> _Indices:
    nodes = np.arange(num_nodes)
    return np.concatenate([_encoded(query, key), _encoded(nodes, nodes)])


def _rank(sizes: _Indices) -> _Indices:
    """0, 1, 2 ... within each of the consecutive runs of the given sizes."""
    return np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
