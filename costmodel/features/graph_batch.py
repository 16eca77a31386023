"""Several networks side by side, as the tensors the model reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from costmodel.errors import DataError, GraphError
from costmodel.features.graph_features import GraphFeatures
from costmodel.features.relations import Relation, Relations

__all__ = ["DenseGraphBatch", "GraphBatch", "collate"]


@dataclass(frozen=True)
class DenseGraphBatch:
    """The same graphs padded to the longest one: the form the equations are written in.

    It needs ``batch * nodes²`` memory; :class:`GraphBatch` is the form to compute with.

    Attributes:
        op_types: Operation type of each node; 0 in the padding.
        tokens: Numeric features; zeros in the padding.
        adjacency: ``A[b, i, j] = 1`` when node i feeds node j.
        node_mask: True at the real nodes.
        relation_masks: Who (last axis) is seen by whom, for each :class:`Relation`.
            Nodes of the padding see themselves, and nobody sees them.
    """

    op_types: Int[Tensor, "batch nodes"]
    tokens: Float[Tensor, "batch nodes features"]
    adjacency: Float[Tensor, "batch nodes nodes"]
    node_mask: Bool[Tensor, "batch nodes"]
    relation_masks: Bool[Tensor, "batch relations nodes nodes"]

    def __len__(self) -> int:
        return len(self.op_types)

    def __getitem__(self, graphs: Int[Tensor, " chosen"]) -> DenseGraphBatch:
        """Some of the graphs, in that order, padded as they are."""
        return DenseGraphBatch(
            self.op_types[graphs],
            self.tokens[graphs],
            self.adjacency[graphs],
            self.node_mask[graphs],
            self.relation_masks[graphs],
        )


@dataclass(frozen=True)
class GraphBatch:
    """Graphs concatenated along the node axis, without padding; edges never cross graphs.

    Attributes:
        op_types: Operation type of each node.
        tokens: Numeric features.
        work: FLOPs, activation bytes and weight bytes, see :class:`GraphFeatures`.
        kernels: Class of kernels of each node.
        graph_index: Which graph each node belongs to, ascending.
        num_graphs: How many graphs there are; one without nodes counts.
        edges: A row of producers over a row of consumers.
        relations: For each :class:`Relation` a row of queries over a row of keys.
    """

    op_types: Int[Tensor, " nodes"]
    tokens: Float[Tensor, "nodes features"]
    work: Float[Tensor, "nodes terms"]
    kernels: Int[Tensor, " nodes"]
    graph_index: Int[Tensor, " nodes"]
    num_graphs: int
    edges: Int[Tensor, "2 edges"]
    relations: tuple[Int[Tensor, "2 _"], ...]

    def __len__(self) -> int:
        return self.num_graphs

    def to(self, device: torch.device | str) -> GraphBatch:
        """The batch on another device."""
        return replace(
            self,
            op_types=self.op_types.to(device),
            tokens=self.tokens.to(device),
            work=self.work.to(device),
            kernels=self.kernels.to(device),
            graph_index=self.graph_index.to(device),
            edges=self.edges.to(device),
            relations=tuple(pairs.to(device) for pairs in self.relations),
        )

    def to_dense(self) -> DenseGraphBatch:
        """The padded form; ``dense[dense.node_mask]`` lists its nodes in the order of this batch."""
        size = torch.bincount(self.graph_index, minlength=self.num_graphs)
        longest = int(size.max()) if self.num_graphs else 0
        first = size.cumsum(0) - size
        position = torch.arange(len(self.op_types), device=size.device) - first[self.graph_index]

        def padded(rows: Tensor) -> Tensor:
            out = rows.new_zeros(self.num_graphs, longest, *rows.shape[1:])
            out[self.graph_index, position] = rows
            return out

        def matrix(pairs: Tensor) -> Tensor:
            out = torch.zeros(self.num_graphs, longest, longest, dtype=torch.bool, device=pairs.device)
            out[self.graph_index[pairs[0]], position[pairs[0]], position[pairs[1]]] = True
            return out

        # A row without a single key would make the softmax divide zero by zero.
        itself = torch.eye(longest, dtype=torch.bool, device=size.device)
        return DenseGraphBatch(
            op_types=padded(self.op_types),
            tokens=padded(self.tokens),
            adjacency=matrix(self.edges).to(self.tokens.dtype),
            node_mask=padded(torch.ones_like(self.graph_index, dtype=torch.bool)),
            relation_masks=torch.stack([matrix(pairs) for pairs in self.relations], dim=1) | itself,
        )


def collate(graphs: Sequence[GraphFeatures], relations: Sequence[Relations] | None = None) -> GraphBatch:
    """Put graphs side by side in one batch.

    Args:
        graphs: At least one graph.
        relations: The relations of each graph, where the caller has kept them; they are
            the costly part and depend on nothing but the edges.

    Raises:
        DataError: There is no graph, or not one :class:`Relations` per graph.
        GraphError: An edge names an operation that does not exist.
    """
    if not graphs:
        raise DataError("a batch needs at least one graph, got none; check the filter that chose them.")
    sizes = [len(graph) for graph in graphs]
    first_node = np.cumsum([0, *sizes[:-1]])
    graph_index = np.repeat(np.arange(len(graphs)), sizes)
    edges = _renumbered([graph.edges.T for graph in graphs], first_node)
    if relations is None:
        pairs = _related(edges, graph_index, [len(graph.edges) for graph in graphs])
    else:
        related = [of_graph.num_nodes for of_graph in relations]
        if sizes != related:
            raise DataError(
                f"the graphs of a batch have {sizes} nodes but the relations given belong to graphs of {related}; "
                "pass Relations.from_edges(graph.edges, len(graph)) of each graph, in the same order."
            )
        pairs = tuple(
            _renumbered([of_one.pairs[relation] for of_one in relations], first_node) for relation in Relation
        )
    return GraphBatch(
        op_types=_joined([graph.op_types for graph in graphs], np.int64),
        tokens=_joined([graph.tokens for graph in graphs], np.float32),
        work=_joined([graph.work for graph in graphs], np.float32),
        kernels=_joined([graph.kernels for graph in graphs], np.int64),
        graph_index=torch.from_numpy(graph_index),
        num_graphs=len(graphs),
        edges=torch.from_numpy(edges),
        relations=tuple(map(torch.from_numpy, pairs)),
    )


def _related(
    edges: Int[np.ndarray, "2 edges"], graph_index: Int[np.ndarray, "nodes"], edge_counts: Sequence[int]
) -> tuple[Int[np.ndarray, "2 _"], ...]:
    """The relations of all graphs, found at once as those of one graph that falls into parts."""
    relations = Relations.from_edges(edges.T, len(graph_index))
    if (graph_index[edges] != np.repeat(np.arange(len(edge_counts)), edge_counts)).any():
        raise GraphError(
            "an edge joins an operation to one that its graph does not have; rebuild the features from the OpGraph."
        )
    return relations.pairs


def _renumbered(pairs: Sequence[np.ndarray], first_node: np.ndarray) -> Int[np.ndarray, "2 _"]:
    return np.concatenate([part + first for part, first in zip(pairs, first_node, strict=True)], axis=1)


def _joined(arrays: Sequence[np.ndarray], dtype: type[np.generic]) -> Tensor:
    return torch.from_numpy(np.concatenate(arrays).astype(dtype, copy=False))
