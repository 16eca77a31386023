"""Other graph networks in the place of NN-Former's trunk, and the published way to read a latency off one."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn

from costmodel.features.graph_batch import GraphBatch
from costmodel.model import LatencyModel, LatencyModelConfig, LatencyOutput, NNFormerConfig, SumReadout

__all__ = ["GCNTrunk", "GraphSAGETrunk", "PooledLatencyModel", "TransformerTrunk"]


class _GraphTrunk(nn.Module):
    """Embeds operations as NN-Former does, then changes them layer by layer."""

    def __init__(self, config: NNFormerConfig) -> None:
        super().__init__()
        self.features = nn.Linear(config.num_features, config.dim)
        self.types = nn.Embedding(config.num_op_types, config.dim)
        self.input_norm, self.output_norm = nn.LayerNorm(config.dim), nn.LayerNorm(config.dim)
        self.layers = nn.ModuleList(self.layer(config) for _ in range(config.depth))

    def layer(self, config: NNFormerConfig) -> nn.Module:
        raise NotImplementedError

    def forward(self, batch: GraphBatch) -> Tensor:
        """Embed every operation of the batch, in its order."""
        nodes = self.input_norm(self.features(batch.tokens) + self.types(batch.op_types))
        for layer in self.layers:
            nodes = layer(nodes, batch)
        return cast(Tensor, self.output_norm(nodes))


def _mean_over(edges: Tensor, nodes: Tensor, receiver: int) -> Tensor:
    """Of each node, the mean of its neighbours in one direction; zero where there are none."""
    into, out_of = edges[receiver], edges[1 - receiver]
    count = nodes.new_zeros(len(nodes)).index_add(0, into, nodes.new_ones(len(into)))
    return torch.zeros_like(nodes).index_add(0, into, nodes[out_of]) / count.clamp(min=1)[:, None]


class GCNTrunk(_GraphTrunk):
    """Graph convolutions along edges in both directions, in the style of BRP-NAS, with residuals.

    Source: Dudziak et al., "BRP-NAS", NeurIPS 2020.
    """

    def layer(self, config: NNFormerConfig) -> nn.Module:
        """One convolution."""
        return _Convolution(config.dim)


class _Convolution(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.from_children, self.from_parents = nn.Linear(dim, dim), nn.Linear(dim, dim)

    def forward(self, nodes: Tensor, batch: GraphBatch) -> Tensor:
        normed = self.norm(nodes)
        children = self.from_children(normed + _mean_over(batch.edges, normed, 0))
        parents = self.from_parents(normed + _mean_over(batch.edges, normed, 1))
        return nodes + torch.relu(children) + torch.relu(parents)


class GraphSAGETrunk(_GraphTrunk):
    """A node beside the mean of its neighbours, normalised, in the style of NNLP.

    Source: Liu et al., "NNLQP", ICPP 2022; Hamilton et al., NeurIPS 2017.
    """

    def layer(self, config: NNFormerConfig) -> nn.Module:
        """One aggregation."""
        return _Aggregation(config.dim)


class _Aggregation(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.own, self.neighbours = nn.Linear(dim, dim), nn.Linear(dim, dim, bias=False)

    def forward(self, nodes: Tensor, batch: GraphBatch) -> Tensor:
        both = torch.cat([batch.edges, batch.edges.flip(0)], dim=1)
        mean = _mean_over(both, nodes, 0)
        return nn.functional.normalize(torch.relu(self.own(nodes) + self.neighbours(mean)), dim=-1)


class TransformerTrunk(_GraphTrunk):
    """All operations of a network see each other; sinusoids tell their places in topological order.

    Source: Vaswani et al., "Attention Is All You Need", 2017.
    """

    def layer(self, config: NNFormerConfig) -> nn.Module:
        """One block."""
        return nn.TransformerEncoderLayer(
            config.dim,
            config.heads,
            config.ffn_ratio * config.dim,
            config.dropout,
            "gelu",
            batch_first=True,
            norm_first=True,
        )

    def forward(self, batch: GraphBatch) -> Tensor:
        """Embed every operation of the batch, in its order."""
        nodes = self.input_norm(self.features(batch.tokens) + self.types(batch.op_types))
        sizes = torch.bincount(batch.graph_index, minlength=batch.num_graphs).tolist()
        padded = nn.utils.rnn.pad_sequence(
            [part + _sinusoids(*part.shape) for part in nodes.split(sizes)], batch_first=True
        )
        empty = torch.arange(padded.shape[1])[None] >= torch.tensor(sizes)[:, None]
        for layer in self.layers:
            padded = layer(padded, src_key_padding_mask=empty)
        return cast(Tensor, self.output_norm(padded[~empty]))


def _sinusoids(places: int, dim: int) -> Tensor:
    rates = torch.exp(-math.log(10_000) * torch.arange(0, dim, 2) / dim)
    angles = torch.arange(places)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


class PooledLatencyModel(LatencyModel):
    """One number for a network from its summed operations and its totals, as published: no prior, no parts."""

    def __init__(self, config: LatencyModelConfig) -> None:
        super().__init__(config)
        self.readout = SumReadout(config.trunk.dim, 4)

    def forward(self, batch: GraphBatch, batch_sizes: Tensor) -> LatencyOutput:
        """Predict every graph, on the one platform there is."""
        nodes = self.trunk(batch)
        work = torch.zeros(batch.num_graphs, 3).index_add(0, batch.graph_index, batch.work)
        statics = torch.cat([batch_sizes, work], dim=1).log1p() / 8
        milliseconds = self.readout(nodes, batch.graph_index, statics)
        return LatencyOutput(milliseconds.clamp(min=1e-6).log()[:, None], nodes.new_zeros(len(nodes), 1))
