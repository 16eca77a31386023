"""One layer of NN-Former."""

from __future__ import annotations

from typing import cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from costmodel.features.relations import Relation
from costmodel.model.asma import ASMA
from costmodel.model.bgiffn import BGIFFN, Directions

__all__ = ["NNFormerBlock"]


class NNFormerBlock(nn.Module):
    r"""Attention, then feed-forward, each on normalised input and added to what was there.

    .. math::
        H'  &= H  + s_1 \odot \mathrm{ASMA}(\mathrm{LN}(H), A) \\
        H'' &= H' + s_2 \odot \mathrm{BGIFFN}(\mathrm{LN}(H'), A)

    Source: Xu et al., "NN-Former: Rethinking Graph Structure in Neural Architecture
    Representation", CVPR 2025.

    Args:
        dim: Width of the nodes' embeddings.
        heads: Attention heads, see :class:`ASMA`.
        ffn_ratio: Hidden width of the feed-forward network over ``dim``.
        dropout: Probability of dropping an attention weight, and an element of either branch.
        layer_scale: Initial value of the learned scales :math:`s` (1e-4 as published), or None for no scales.
        head_relations: The relation of each group of heads, see :class:`ASMA`.
        ffn_directions: Whom the feed-forward network hears from, see :class:`BGIFFN`.
    """

    def __init__(
        self,
        dim: int,
        heads: int = 4,
        ffn_ratio: int = 4,
        dropout: float = 0.0,
        layer_scale: float | None = None,
        head_relations: tuple[Relation, ...] = tuple(Relation),
        ffn_directions: Directions = "both",
    ) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(dim)
        self.attention = ASMA(dim, heads, dropout, head_relations)
        self.attention_scale = _scale(dim, layer_scale)
        self.feed_forward_norm = nn.LayerNorm(dim)
        self.feed_forward = BGIFFN(dim, ffn_ratio, ffn_directions)
        self.feed_forward_scale = _scale(dim, layer_scale)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        nodes: Float[Tensor, "nodes dim"],
        edges: Int[Tensor, "2 edges"],
        relations: tuple[Int[Tensor, "2 _"], ...],
    ) -> Float[Tensor, "nodes dim"]:
        """Apply to the nodes of a :class:`~costmodel.features.graph_batch.GraphBatch`."""
        attended = self.attention(self.attention_norm(nodes), relations)
        nodes = self._added(nodes, self.attention_scale(attended))
        fed = self.feed_forward(self.feed_forward_norm(nodes), edges)
        return self._added(nodes, self.feed_forward_scale(fed))

    def forward_dense(
        self,
        nodes: Float[Tensor, "batch nodes dim"],
        adjacency: Float[Tensor, "batch nodes nodes"],
        relation_masks: Bool[Tensor, "batch relations nodes nodes"],
    ) -> Float[Tensor, "batch nodes dim"]:
        """Apply under masks; equal to :meth:`forward` on the real nodes."""
        attended = self.attention.forward_dense(self.attention_norm(nodes), relation_masks)
        nodes = self._added(nodes, self.attention_scale(attended))
        fed = self.feed_forward.forward_dense(self.feed_forward_norm(nodes), adjacency)
        return self._added(nodes, self.feed_forward_scale(fed))

    def _added(self, nodes: Tensor, branch: Tensor) -> Tensor:
        return nodes + cast(Tensor, self.dropout(branch))


class _LayerScale(nn.Module):
    """A learned factor per channel, small at first so that a deep stack starts near the identity."""

    def __init__(self, dim: int, initial: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.full((dim,), initial))

    def forward(self, nodes: Float[Tensor, "*rows dim"]) -> Float[Tensor, "*rows dim"]:
        return nodes * self.factor


def _scale(dim: int, initial: float | None) -> nn.Module:
    return nn.Identity() if initial is None else _LayerScale(dim, initial)
