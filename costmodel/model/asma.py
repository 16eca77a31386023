"""Adjacency-sibling multi-head attention."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from costmodel.errors import UsageError
from costmodel.features.relations import Relation

__all__ = ["ASMA"]


class ASMA(nn.Module):
    r"""Softmax attention in which every head sees one relation of the graph.

    .. math::
        \mathrm{ASMA}(H) = [X_1 \| X_2 \| X_3 \| X_4]\, W_O, \qquad
        X_r = \mathrm{softmax}_{M_r}\!\left(\frac{H Q_r (H K_r)^\top}{\sqrt{d_h}}\right) H V_r

    with the masks :math:`M_1 = A + I` (children), :math:`M_2 = A^\top + I` (parents),
    :math:`M_3 = A A^\top + I` (siblings with a common child) and
    :math:`M_4 = A^\top A + I` (siblings with a common parent).

    Source: Xu et al., "NN-Former: Rethinking Graph Structure in Neural Architecture
    Representation", CVPR 2025.

    Where we differ: with more than four heads, each relation gets ``heads / 4`` neighbouring
    heads; and only the pairs that a mask lets through are computed, so that time and memory
    grow with the number of pairs instead of with nodes².  :meth:`forward_dense` is the masked form.

    Args:
        dim: Width of the nodes' embeddings.
        heads: A multiple of the number of relations that divides ``dim``.
        dropout: Probability of dropping an attention weight.
        head_relations: The relation of each group of heads; the four of the paper unless told otherwise.

    Raises:
        UsageError: ``heads`` is no multiple of the number of relations, or ``dim`` none of ``heads``.
    """

    def __init__(
        self, dim: int, heads: int = 4, dropout: float = 0.0, head_relations: tuple[Relation, ...] = tuple(Relation)
    ) -> None:
        super().__init__()
        groups = len(head_relations)
        if heads % groups or dim % heads:
            raise UsageError(
                f"attention of width {dim} with {heads} heads over {groups} relations: the heads must be a "
                f"multiple of {groups}, and the width a multiple of the heads; try heads={groups}."
            )
        self.heads = heads
        self.head_width = dim // heads
        self.dropout = dropout
        self.head_relations = head_relations
        self.query_key_value = nn.Linear(dim, 3 * dim)
        self.output = nn.Linear(dim, dim)

    def forward(
        self, nodes: Float[Tensor, "nodes dim"], relations: tuple[Int[Tensor, "2 _"], ...]
    ) -> Float[Tensor, "nodes dim"]:
        """Attend along the pairs (query, key) given for each :class:`Relation`."""
        groups = len(self.head_relations)
        # Row `node * groups + group` holds what one group of heads knows of one node: a plain
        # view of the projections, in which the pairs of all relations are one list of row pairs.
        query_row, key_row = torch.cat(
            [relations[relation] * groups + group for group, relation in enumerate(self.head_relations)], dim=1
        )
        rows = (len(nodes) * groups, self.heads // groups, self.head_width)
        query, key, value = (part.reshape(rows) for part in self.query_key_value(nodes).chunk(3, dim=-1))

        # Gather and index_add: on a CPU as fast, forward and backward, as segment_reduce and embedding_bag
        # and five times faster than padded neighbour lists, which a few busy nodes make mostly padding.
        scores = (query.index_select(0, query_row) * key.index_select(0, key_row)).sum(-1) * self.head_width**-0.5
        weights = functional.dropout(_softmax_by_row(scores, query_row, rows[0]), self.dropout, self.training)
        messages = weights.unsqueeze(-1) * value.index_select(0, key_row)
        attended = torch.zeros_like(value).index_add(0, query_row, messages)
        mixed: Tensor = self.output(attended.reshape(nodes.shape))
        return mixed

    def forward_dense(
        self, nodes: Float[Tensor, "batch nodes dim"], relation_masks: Bool[Tensor, "batch relations nodes nodes"]
    ) -> Float[Tensor, "batch nodes dim"]:
        """Attend under masks; equal to :meth:`forward` on the real nodes."""
        split = (*nodes.shape[:2], self.heads, self.head_width)
        query, key, value = (
            part.reshape(split).transpose(1, 2) for part in self.query_key_value(nodes).chunk(3, dim=-1)
        )
        heads_per_relation = self.heads // len(self.head_relations)
        masks = relation_masks[:, list(self.head_relations)].repeat_interleave(heads_per_relation, dim=1)
        attended = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=masks, dropout_p=self.dropout if self.training else 0.0
        )
        mixed: Tensor = self.output(attended.transpose(1, 2).reshape(nodes.shape))
        return mixed


def _softmax_by_row(
    scores: Float[Tensor, "pairs heads"], row: Int[Tensor, " pairs"], num_rows: int
) -> Float[Tensor, "pairs heads"]:
    """Softmax over the pairs that share a row; every row has one (its own)."""
    shape = (num_rows, scores.shape[1])
    # The maximum only keeps exp() in range: the result, and so the gradient, does not depend on it.
    highest = scores.new_full(shape, -torch.inf).scatter_reduce(
        0, row.unsqueeze(-1).expand_as(scores), scores.detach(), "amax"
    )
    unnormalised = torch.exp(scores - highest.index_select(0, row))
    total = scores.new_zeros(shape).index_add(0, row, unnormalised)
    return unnormalised / total.index_select(0, row)
