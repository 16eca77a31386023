"""NN-Former: from a batch of graphs to an embedding of every operation."""

from __future__ import annotations

from typing import cast

from jaxtyping import Float, Int
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn

from costmodel.features.graph_batch import DenseGraphBatch, GraphBatch
from costmodel.features.relations import Relation
from costmodel.model.bgiffn import Directions
from costmodel.model.block import NNFormerBlock

__all__ = ["NNFormer", "NNFormerConfig"]


class NNFormerConfig(BaseModel):
    """Sizes of an :class:`NNFormer`.

    Attributes:
        num_op_types: Operation types the model tells apart.
        num_features: Numeric features of a node; 0 if its type is all there is to tell of it.
        dim: Width of the nodes' embeddings.
        depth: Number of blocks.
        heads: Attention heads, a multiple of the number of ``head_relations`` (four) that divides ``dim``.
        ffn_ratio: Hidden width of the feed-forward networks over ``dim``.
        dropout: Dropout probability in the blocks.
        layer_scale: Initial scale of the blocks' branches (1e-4 as published), or None for no scales.
        head_relations: The relation of each group of heads; the four of the paper unless told otherwise.
        ffn_directions: Whom the feed-forward networks hear from; both, as published, unless told otherwise.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    num_op_types: PositiveInt
    num_features: NonNegativeInt
    dim: PositiveInt = 128
    depth: NonNegativeInt = 3
    heads: PositiveInt = 4
    ffn_ratio: PositiveInt = 4
    dropout: float = Field(default=0.05, ge=0, lt=1)
    layer_scale: PositiveFloat | None = 1e-4
    head_relations: tuple[Relation, ...] = Field(default=tuple(Relation), min_length=1)
    ffn_directions: Directions = "both"


class NNFormer(nn.Module):
    r"""A transformer over the operations of a network that sees children, parents and siblings only.

    .. math::
        H_0 = \mathrm{LN}(X W + E_{type}), \qquad H_l = \mathrm{Block}_l(H_{l-1}, A), \qquad H = \mathrm{LN}(H_L)

    Source: Xu et al., "NN-Former: Rethinking Graph Structure in Neural Architecture
    Representation", CVPR 2025.

    Where we differ: tokens are numeric features beside a learned embedding of the operation type,
    not one-hot vectors and sinusoids; graphs are computed side by side, not padded, with
    :meth:`forward_dense` as the padded reference (same parameters, same result).

    Args:
        config: Sizes.

    Raises:
        UsageError: The width, heads and ratio do not fit together.
    """

    def __init__(self, config: NNFormerConfig) -> None:
        super().__init__()
        self.config = config
        self.feature_embedding = nn.Linear(config.num_features, config.dim) if config.num_features else None
        self.op_type_embedding = nn.Embedding(config.num_op_types, config.dim)
        self.input_norm = nn.LayerNorm(config.dim)
        self.blocks = nn.ModuleList(
            NNFormerBlock(
                config.dim,
                config.heads,
                config.ffn_ratio,
                config.dropout,
                config.layer_scale,
                config.head_relations,
                config.ffn_directions,
            )
            for _ in range(config.depth)
        )
        self.output_norm = nn.LayerNorm(config.dim)

    def forward(self, batch: GraphBatch) -> Float[Tensor, "nodes dim"]:
        """Embed every operation of the batch, in its order."""
        nodes = self._embedded(batch.op_types, batch.tokens)
        for block in self.blocks:
            nodes = block(nodes, batch.edges, batch.relations)
        normed: Tensor = self.output_norm(nodes)
        return normed

    def forward_dense(self, batch: DenseGraphBatch) -> Float[Tensor, "batch nodes dim"]:
        """Embed every operation of a padded batch; rows of the padding hold nothing of meaning."""
        nodes = self._embedded(batch.op_types, batch.tokens)
        for block in self.blocks:
            nodes = cast(NNFormerBlock, block).forward_dense(nodes, batch.adjacency, batch.relation_masks)
        normed: Tensor = self.output_norm(nodes)
        return normed

    def _embedded(self, op_types: Int[Tensor, "*rows"], tokens: Float[Tensor, "*rows features"]) -> Tensor:
        embedded: Tensor = self.op_type_embedding(op_types)
        if self.feature_embedding is not None:
            embedded = self.feature_embedding(tokens) + embedded
        normed: Tensor = self.input_norm(embedded)
        return normed
