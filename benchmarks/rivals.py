"""Other predictors of accuracy, read from cells as NN-Former is and trained in the same way."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from costmodel.features.cell_batch import CLASS_TOKEN
from costmodel.features.graph_batch import DenseGraphBatch

__all__ = ["GCN", "GraphSAGE", "PlainTransformer"]


class _MeanOfNodes(nn.Module):
    """Embeds the operations, changes them layer by layer, and reads one number from their mean."""

    def __init__(self, op_types: int, dim: int, depth: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(op_types, dim)
        self.layers = nn.ModuleList(self.layer(dim) for _ in range(depth))
        self.head = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, 1))

    def layer(self, dim: int) -> nn.Module:
        raise NotImplementedError

    def forward(self, cells: DenseGraphBatch) -> Tensor:
        real = cells.node_mask[:, 1:, None].float()
        nodes = self.embedding(cells.op_types[:, 1:]) * real
        for layer in self.layers:
            nodes = layer(nodes, cells.adjacency[:, 1:, 1:]) * real
        return self.head(nodes.sum(1) / real.sum(1)).squeeze(-1)


class GCN(_MeanOfNodes):
    """Graph convolutions along edges in both directions, normalised by degrees; in the style of BRP-NAS.

    Source: Dudziak et al., "BRP-NAS", NeurIPS 2020; Kipf and Welling, ICLR 2017.
    """

    def layer(self, dim: int) -> nn.Module:
        """One convolution."""
        return _Convolution(dim)


class _Convolution(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.from_children, self.from_parents = nn.Linear(dim, dim), nn.Linear(dim, dim)

    def forward(self, nodes: Tensor, adjacency: Tensor) -> Tensor:
        itself = torch.eye(adjacency.shape[-1])
        children = _normalised(adjacency + itself) @ self.from_children(nodes)
        parents = _normalised(adjacency.mT + itself) @ self.from_parents(nodes)
        return torch.relu((children + parents) / 2)


def _normalised(adjacency: Tensor) -> Tensor:
    rows, columns = adjacency.sum(-1, keepdim=True), adjacency.sum(-2, keepdim=True)
    return adjacency * (rows * columns).clamp(min=1).rsqrt()


class GraphSAGE(_MeanOfNodes):
    """A node beside the mean of its neighbours, normalised; in the style of NNLP.

    Source: Liu et al., "NNLQP", ICPP 2022; Hamilton et al., NeurIPS 2017.
    """

    def layer(self, dim: int) -> nn.Module:
        """One aggregation."""
        return _Aggregation(dim)


class _Aggregation(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.own, self.neighbours = nn.Linear(dim, dim), nn.Linear(dim, dim, bias=False)

    def forward(self, nodes: Tensor, adjacency: Tensor) -> Tensor:
        both = adjacency + adjacency.mT
        mean = both @ nodes / both.sum(-1, keepdim=True).clamp(min=1)
        return nn.functional.normalize(torch.relu(self.own(nodes) + self.neighbours(mean)), dim=-1)


class PlainTransformer(nn.Module):
    """All operations see each other; places in topological order are learned; a class token is read.

    Source: Vaswani et al., "Attention Is All You Need", 2017.
    """

    def __init__(self, op_types: int, dim: int, depth: int, places: int = 16) -> None:
        super().__init__()
        self.embedding, self.places = nn.Embedding(op_types, dim), nn.Embedding(places, dim)
        layer = nn.TransformerEncoderLayer(dim, 4, 4 * dim, 0.1, "gelu", batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, depth, nn.LayerNorm(dim), enable_nested_tensor=False)
        self.head = nn.Sequential(nn.Linear(dim, dim), nn.GELU(), nn.Linear(dim, 1))

    def forward(self, cells: DenseGraphBatch) -> Tensor:
        """One number a cell."""
        nodes = self.embedding(cells.op_types) + self.places.weight[: cells.op_types.shape[1]]
        nodes = self.layers(nodes, src_key_padding_mask=~cells.node_mask)
        return self.head(nodes[:, CLASS_TOKEN]).squeeze(-1)
