"""A cell of a search space as a graph: what a network is built from, before it is built."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from costmodel.errors import GraphError

__all__ = ["CellGraph"]


@dataclass(frozen=True, slots=True)
class CellGraph:
    """The operations of one cell and what feeds what.

    Attributes:
        operations: Index of each operation in the vocabulary of its search space, in topological order.
        edges: Pairs (producer, consumer) of operations; the producer comes first.

    Raises:
        GraphError: An edge leads backwards, or to an operation that does not exist.
    """

    operations: Int[np.ndarray, "nodes"]
    edges: Int[np.ndarray, "edges 2"]

    def __post_init__(self) -> None:
        producer, consumer = self.edges.T
        if self.edges.size and not (producer.min() >= 0 and consumer.max() < len(self) and (producer < consumer).all()):
            raise GraphError(
                f"cell of {len(self)} operations: expected edges from an earlier to a later one, "
                f"got {self.edges.tolist()}; number the operations in topological order."
            )

    def __len__(self) -> int:
        return len(self.operations)

    def without(self, dropped: Collection[int], bypassed: Collection[int] = ()) -> CellGraph:
        """The operations that still lie on a way from the first to the last when some are gone; those two always do.

        Args:
            dropped: Types of operations whose results count nothing.
            bypassed: Types of operations that hand on what they are given: their readers read that.
        """
        last = len(self) - 1
        kept = [not 0 < node < last or kind not in dropped for node, kind in enumerate(self.operations.tolist())]
        sources: list[set[int]] = [set() for _ in range(len(self))]
        # Producers come first, so that a bypassed one has its own sources by the time it is read.
        for producer, consumer in sorted(self.edges.tolist(), key=lambda edge: edge[1]):
            if not (kept[producer] and kept[consumer]):
                continue
            is_bypassed = 0 < producer < last and self.operations[producer] in bypassed
            sources[consumer] |= sources[producer] if is_bypassed else {producer}
        reached = [node == 0 for node in range(len(self))]
        for node in range(1, len(self)):
            sources[node] = {source for source in sources[node] if reached[source]}
            reached[node] = bool(sources[node])
        useful, waiting = {0, last}, [last]
        while waiting:
            fresh = sources[waiting.pop()] - useful
            useful |= fresh
            waiting += fresh
        place = {node: index for index, node in enumerate(sorted(useful))}
        edges = sorted((place[source], place[node]) for node in useful for source in sources[node])
        return CellGraph(self.operations[list(place)], np.array(edges, dtype=np.int64).reshape(-1, 2))
