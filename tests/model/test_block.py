"""The block's residual paths."""

from __future__ import annotations

import torch

from costmodel.model import NNFormerBlock

EDGES = torch.tensor([[0], [1]])
ITSELF = torch.tensor([[0, 1], [0, 1]])
RELATIONS = (torch.tensor([[0, 0, 1], [0, 1, 1]]), torch.tensor([[0, 1, 1], [0, 1, 0]]), ITSELF, ITSELF)


def test_is_pre_norm_and_twice_residual() -> None:
    torch.manual_seed(0)
    block, nodes = NNFormerBlock(8), torch.randn(2, 8)
    middle = nodes + block.attention(block.attention_norm(nodes), RELATIONS)
    expected = middle + block.feed_forward(block.feed_forward_norm(middle), EDGES)
    torch.testing.assert_close(block(nodes, EDGES, RELATIONS), expected)


def test_layer_scale_starts_near_the_identity_and_is_learned() -> None:
    block, nodes = NNFormerBlock(8, layer_scale=1e-4), torch.randn(2, 8)
    output = block(nodes, EDGES, RELATIONS)
    assert 0 < (output - nodes).abs().max() < 1e-2
    output.square().sum().backward()
    scales = {name: p.grad for name, p in block.named_parameters() if "scale" in name}
    assert len(scales) == 2
    assert all(gradient is not None and gradient.any() for gradient in scales.values())
