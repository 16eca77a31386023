"""Attention over relations, against the equation written out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from costmodel.errors import UsageError
from costmodel.model import ASMA

#   0 -> 1, 0 -> 2: pairs (query, key) of children, parents, common child, common parent
FORK_PAIRS = [
    [(0, 0), (0, 1), (0, 2), (1, 1), (2, 2)],
    [(0, 0), (1, 1), (1, 0), (2, 2), (2, 0)],
    [(0, 0), (1, 1), (2, 2)],
    [(0, 0), (1, 1), (1, 2), (2, 2), (2, 1)],
]
FORK = tuple(torch.tensor(pairs).T for pairs in FORK_PAIRS)


def by_the_equation(attention: ASMA, nodes: Tensor) -> Tensor:
    """Head by head, query by query."""
    width = nodes.shape[1] // attention.heads
    query, key, value = attention.query_key_value(nodes).chunk(3, dim=-1)
    columns = []
    for head in range(attention.heads):
        part = slice(head * width, (head + 1) * width)
        pairs = FORK_PAIRS[head * 4 // attention.heads]
        rows = []
        for node in range(len(nodes)):
            seen = [other for one, other in pairs if one == node]
            weights = torch.softmax(key[seen, part] @ query[node, part] / width**0.5, dim=0)
            rows.append(weights @ value[seen, part])
        columns.append(torch.stack(rows))
    mixed: Tensor = attention.output(torch.cat(columns, dim=1))
    return mixed


@pytest.mark.parametrize("heads", [4, 8])
def test_follows_the_equation(heads: int) -> None:
    torch.manual_seed(0)
    attention, nodes = ASMA(16, heads), 3 * torch.randn(3, 16)
    torch.testing.assert_close(attention(nodes, FORK), by_the_equation(attention, nodes), atol=1e-5, rtol=1e-5)


def test_edge_list_and_dense_form_agree() -> None:
    torch.manual_seed(0)
    attention, nodes = ASMA(16, heads=8), 3 * torch.randn(3, 16)
    masks = torch.zeros(1, 4, 3, 3, dtype=torch.bool)
    for relation, (query, key) in enumerate(FORK):
        masks[0, relation, query, key] = True
    torch.testing.assert_close(
        attention(nodes, FORK), attention.forward_dense(nodes[None], masks)[0], atol=1e-5, rtol=1e-5
    )


def test_huge_scores_do_not_overflow() -> None:
    attention = ASMA(16)
    nodes = (1e4 * torch.randn(3, 16)).requires_grad_()
    attended = attention(nodes, FORK)
    attended.sum().backward()
    assert attended.isfinite().all()
    assert nodes.grad is not None
    assert nodes.grad.isfinite().all()


def test_dropout_works_in_training_only() -> None:
    torch.manual_seed(0)
    attention, nodes = ASMA(16, dropout=0.5), torch.randn(3, 16)
    assert not torch.equal(attention(nodes, FORK), attention(nodes, FORK))
    attention.eval()
    assert torch.equal(attention(nodes, FORK), attention(nodes, FORK))


@pytest.mark.parametrize(("dim", "heads"), [(16, 6), (18, 4)])
def test_heads_that_do_not_fit_are_refused(dim: int, heads: int) -> None:
    with pytest.raises(UsageError, match="try heads=4"):
        ASMA(dim, heads)
