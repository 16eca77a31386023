"""From embeddings of operations to one number per network."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["SumReadout"]


class SumReadout(nn.Module):
    r"""The published latency readout: a sum over operations, so that latency grows with depth.

    .. math::
        z = \sum_i 0.01\,\bigl(h_i + \mathrm{MLP}_1(h_i)\bigr), \qquad
        y = \mathrm{softplus}\bigl(\mathrm{MLP}_2([\, z \,\|\, s W_s \,])\bigr)

    over the embeddings :math:`h_i` of one network's operations and its static features :math:`s`.

    Source: Xu et al., "NN-Former: Rethinking Graph Structure in Neural Architecture
    Representation", CVPR 2025.

    Args:
        dim: Width of the nodes' embeddings.
        num_statics: Static features of a whole network (batch, FLOPs, parameters, memory traffic).
    """

    node_scale = 0.01

    def __init__(self, dim: int, num_statics: int) -> None:
        super().__init__()
        self.node_mlp = nn.Sequential(nn.Linear(dim, dim), nn.GELU(), nn.Linear(dim, dim))
        self.static_embedding = nn.Linear(num_statics, dim)
        self.output_mlp = nn.Sequential(nn.Linear(2 * dim, dim), nn.GELU(), nn.Linear(dim, 1))

    def forward(
        self,
        nodes: Float[Tensor, "nodes dim"],
        graph_index: Int[Tensor, " nodes"],
        statics: Float[Tensor, "graphs statics"],
    ) -> Float[Tensor, " graphs"]:
        """Read one positive number per graph, in the unit of the labels it is trained on.

        Args:
            nodes: Embeddings of the real nodes; of a padded batch, ``embeddings[node_mask]``.
            graph_index: The graph of each node, a row of ``statics``.
            statics: Static features of each graph.
        """
        contributions = self.node_scale * (nodes + self.node_mlp(nodes))
        summed = nodes.new_zeros(len(statics), nodes.shape[1]).index_add(0, graph_index, contributions)
        joined = torch.cat([summed, self.static_embedding(statics)], dim=-1)
        return functional.softplus(self.output_mlp(joined)).squeeze(-1)
