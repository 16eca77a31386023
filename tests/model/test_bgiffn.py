"""The feed-forward network, against the equation written out."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from costmodel.errors import UsageError
from costmodel.model import BGIFFN

EDGES = torch.tensor([(0, 1), (0, 2), (1, 3), (2, 3)]).T


def test_both_forms_follow_the_equation() -> None:
    torch.manual_seed(0)
    network, nodes = BGIFFN(6, ratio=3), torch.randn(4, 6)
    adjacency = torch.tensor([[0.0, 1, 1, 0], [0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 0]])
    children = adjacency @ nodes @ network.from_children.weight.T
    parents = adjacency.T @ nodes @ network.from_parents.weight.T
    expected = network.output(functional.gelu(network.own(nodes) + torch.cat([children, parents], dim=1)))
    torch.testing.assert_close(network(nodes, EDGES), expected)
    torch.testing.assert_close(network.forward_dense(nodes[None], adjacency[None])[0], expected)


def test_the_number_of_neighbours_counts() -> None:
    """A mean would not tell one child from two alike; the sum must."""
    network = BGIFFN(6)
    alike = torch.ones(3, 6)
    two_children, one_child = torch.tensor([[0, 0], [1, 2]]), torch.tensor([[0], [1]])
    assert not torch.allclose(network(alike, two_children)[0], network(alike, one_child)[0])


def test_an_odd_hidden_width_is_refused() -> None:
    with pytest.raises(UsageError, match=r"3 x 5 = 15 .* ratio=4"):
        BGIFFN(5, ratio=3)
