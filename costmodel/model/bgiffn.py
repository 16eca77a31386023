"""Bidirectional graph-isomorphism feed-forward network."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from costmodel.errors import UsageError

__all__ = ["BGIFFN", "Directions"]

Directions: TypeAlias = Literal["both", "children", "parents", "none"]
"""Whom an operation hears from; an ablation leaves out one direction, or both."""


class BGIFFN(nn.Module):
    r"""A feed-forward network whose hidden layer also hears from children and parents.

    .. math::
        \mathrm{BGIFFN}(H) = \mathrm{act}\bigl(H W_1 + [\, A (H W_f) \,\|\, A^\top (H W_b) \,]\bigr)\, W_2

    :math:`A` is neither normalised nor given a self-loop, so the sums count neighbours, as in a
    graph isomorphism network.

    Source: Xu et al., "NN-Former: Rethinking Graph Structure in Neural Architecture
    Representation", CVPR 2025.

    Where we differ: the activation is left open there; we take GELU.  :math:`W_1` and :math:`W_2` have
    biases; :math:`W_f` and :math:`W_b` have none, which the sums would multiply by the degree.

    Args:
        dim: Width of the nodes' embeddings.
        ratio: Width of the hidden layer over ``dim``.
        directions: Whom an operation hears from; the parameters are the same whoever it is.

    Raises:
        UsageError: The hidden layer is of odd width and cannot be halved.
    """

    def __init__(self, dim: int, ratio: int = 4, directions: Directions = "both") -> None:
        super().__init__()
        self.directions = directions
        hidden = ratio * dim
        if hidden % 2:
            raise UsageError(
                f"a hidden layer of width {ratio} x {dim} = {hidden} cannot be split between children and "
                f"parents; make the width or the ratio even, e.g. ratio={ratio + 1}."
            )
        self.own = nn.Linear(dim, hidden)
        self.from_children = nn.Linear(dim, hidden // 2, bias=False)
        self.from_parents = nn.Linear(dim, hidden // 2, bias=False)
        self.output = nn.Linear(hidden, dim)

    def forward(self, nodes: Float[Tensor, "nodes dim"], edges: Int[Tensor, "2 edges"]) -> Float[Tensor, "nodes dim"]:
        """Apply to nodes joined by ``edges``, a row of producers over a row of consumers."""
        producer, consumer = edges
        children = _summed(self.from_children(nodes), consumer, producer)
        parents = _summed(self.from_parents(nodes), producer, consumer)
        return self._mixed(nodes, children, parents)

    def forward_dense(
        self, nodes: Float[Tensor, "batch nodes dim"], adjacency: Float[Tensor, "batch nodes nodes"]
    ) -> Float[Tensor, "batch nodes dim"]:
        """Apply under an adjacency matrix; equal to :meth:`forward` on the real nodes."""
        children = adjacency @ self.from_children(nodes)
        parents = adjacency.mT @ self.from_parents(nodes)
        return self._mixed(nodes, children, parents)

    def _mixed(self, nodes: Tensor, children: Tensor, parents: Tensor) -> Tensor:
        if self.directions not in ("both", "children"):
            children = torch.zeros_like(children)
        if self.directions not in ("both", "parents"):
            parents = torch.zeros_like(parents)
        heard = torch.cat([children, parents], dim=-1)
        mixed: Tensor = self.output(functional.gelu(self.own(nodes) + heard))
        return mixed


def _summed(
    messages: Float[Tensor, "nodes hidden"], sender: Int[Tensor, " edges"], receiver: Int[Tensor, " edges"]
) -> Float[Tensor, "nodes hidden"]:
    return torch.zeros_like(messages).index_add(0, receiver, messages.index_select(0, sender))
