"""A cell of a search space as a graph: what a network is built from, before it is built."""

from __future__ import annotations

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
