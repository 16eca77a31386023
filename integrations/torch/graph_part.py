"""Some operations of a network as the model sees them, with the fx nodes that they stand for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Int

from costmodel.features import GraphFeatures, build_features
from costmodel.graph import OpGraph

__all__ = ["GraphPart"]


@dataclass(frozen=True)
class GraphPart:
    """A network, or a part of one.

    Attributes:
        features: A row for each operation that takes time.
        sources: Names of the nodes that each stands for.
    """

    features: GraphFeatures
    sources: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, graph: OpGraph) -> GraphPart:
        """All of ``graph``."""
        features = build_features(graph)
        return cls(features, tuple(graph.ops[index].sources for index in features.op_index))

    @cached_property
    def _rows_of(self) -> dict[str, list[int]]:
        rows: dict[str, list[int]] = {}
        for row, names in enumerate(self.sources):
            for name in names:
                rows.setdefault(name, []).append(row)
        return rows

    def touched(self, names: set[str]) -> Int[np.ndarray, "rows"]:
        """Operations that stand for any of the nodes, or share a node with one that does; in order."""
        rows: set[int] = set()
        while names:
            more = {row for name in names for row in self._rows_of.get(name, ())} - rows
            rows |= more
            names = {name for row in more for name in self.sources[row]}
        return np.array(sorted(rows), dtype=np.int64)

    def subset(self, rows: Int[np.ndarray, "rows"]) -> GraphPart:
        """Only these operations, and the edges between them."""
        place = np.full(len(self.features), -1)
        place[rows] = np.arange(len(rows))
        edges = place[self.features.edges]
        features = replace(
            self.features,
            op_types=self.features.op_types[rows],
            tokens=self.features.tokens[rows],
            work=self.features.work[rows],
            kernels=self.features.kernels[rows],
            edges=edges[(edges >= 0).all(axis=1)],
            op_index=self.features.op_index[rows],
        )
        return GraphPart(features, tuple(self.sources[row] for row in rows))

    def described_as_in(self, other: GraphPart) -> GraphPart:
        """The same, but operations that ``other`` has too have their tokens from there.

        Cut out of a network, an operation at the edge has lost what reads it, and looks like another.
        """
        tokens = self.features.tokens.copy()
        for row, names in enumerate(self.sources):
            for known in other._rows_of.get(names[0], ()) if names else ():
                is_same = (
                    other.sources[known] == names and self.features.op_types[row] == other.features.op_types[known]
                )
                if is_same and np.allclose(self.features.work[row], other.features.work[known], rtol=1e-5):
                    tokens[row] = other.features.tokens[known]
        return replace(self, features=replace(self.features, tokens=tokens))
