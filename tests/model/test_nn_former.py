"""The trunk: what it may depend on, and its two equal forms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from costmodel.features.graph_batch import collate
from costmodel.features.graph_features import GraphFeatures
from costmodel.features.relations import Relation
from costmodel.model import ASMA, NNFormer, NNFormerConfig

NUM_OP_TYPES = 7
NUM_FEATURES = 5


def random_graph(num_nodes: int, seed: int, edge_probability: float = 0.2) -> GraphFeatures:
    rng = np.random.default_rng(seed)
    edges = np.argwhere(np.triu(rng.random((num_nodes, num_nodes)) < edge_probability, k=1))
    return graph(edges, num_nodes, seed)


def graph(edges: np.ndarray, num_nodes: int, seed: int = 0) -> GraphFeatures:
    rng = np.random.default_rng(seed)
    return GraphFeatures(
        op_types=rng.integers(0, NUM_OP_TYPES, num_nodes),
        tokens=rng.standard_normal((num_nodes, NUM_FEATURES)).astype(np.float32),
        work=rng.random((num_nodes, 3)),
        kernels=np.zeros(num_nodes, dtype=np.int64),
        edges=edges,
        op_index=np.arange(num_nodes),
        batch=1,
    )


def star(num_nodes: int) -> GraphFeatures:
    readers = np.arange(1, num_nodes)
    return graph(np.stack([np.zeros_like(readers), readers], axis=1), num_nodes)


def permuted(features: GraphFeatures, order: np.ndarray) -> GraphFeatures:
    """The same graph with row ``order[i]`` at place i."""
    place = np.argsort(order)
    return GraphFeatures(
        op_types=features.op_types[order],
        tokens=features.tokens[order],
        work=features.work[order],
        kernels=features.kernels[order],
        edges=place[features.edges],
        op_index=features.op_index[order],
        batch=features.batch,
    )


def make_model(heads: int = 4) -> NNFormer:
    torch.manual_seed(0)
    config = NNFormerConfig(
        num_op_types=NUM_OP_TYPES,
        num_features=NUM_FEATURES,
        dim=32,
        depth=2,
        heads=heads,
        dropout=0.0,
        layer_scale=0.5,
    )
    model = NNFormer(config)
    for name, parameter in model.named_parameters():
        if "query_key_value" in name:  # sharp attention: a wrong mask must show
            nn.init.normal_(parameter, std=0.5)
    return model


@pytest.fixture
def model() -> NNFormer:
    return make_model(heads=8)


GRAPHS = [random_graph(12, 1), star(90), random_graph(1, 2), random_graph(5, 3, 0.0), random_graph(30, 4)]


def test_edge_list_and_dense_form_agree_forward_and_backward(model: NNFormer) -> None:
    batch = collate(GRAPHS)
    dense = batch.to_dense()
    from_edges = model(batch)
    padded = model.forward_dense(dense)
    torch.testing.assert_close(from_edges, padded[dense.node_mask], atol=1e-4, rtol=1e-4)

    direction = torch.randn_like(from_edges)
    by_edges, by_masks = (
        torch.autograd.grad((output * direction).sum(), list(model.parameters()))
        for output in (from_edges, padded[dense.node_mask])
    )
    for one, other in zip(by_edges, by_masks, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_gradients_are_those_of_the_function() -> None:
    model = make_model().double()
    batch = collate([random_graph(6, 5)])
    tokens = batch.tokens.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda tokens: model(replace(batch, tokens=tokens)), tokens)


def test_renumbering_the_operations_renumbers_the_embeddings(model: NNFormer) -> None:
    features = random_graph(25, 6)
    order = np.random.default_rng(0).permutation(25)
    torch.testing.assert_close(
        model(collate([permuted(features, order)])), model(collate([features]))[order], atol=1e-5, rtol=1e-5
    )


def test_a_graph_alone_is_the_same_as_in_a_batch(model: NNFormer) -> None:
    batch = collate(GRAPHS)
    together = model(batch)
    dense = batch.to_dense()
    padded = model.forward_dense(dense)
    for index, features in enumerate(GRAPHS):
        alone = collate([features])
        torch.testing.assert_close(model(alone), together[batch.graph_index == index], atol=1e-5, rtol=0)
        dense_alone = model.forward_dense(alone.to_dense())[0]
        torch.testing.assert_close(dense_alone, padded[index, dense.node_mask[index]], atol=1e-5, rtol=0)


def test_padding_has_no_say(model: NNFormer) -> None:
    dense = collate(GRAPHS).to_dense()
    before = model.forward_dense(dense)[dense.node_mask]
    dense.tokens[~dense.node_mask] = 100.0
    assert torch.equal(model.forward_dense(dense)[dense.node_mask], before)


def test_operations_without_a_relation_do_not_hear_of_each_other(model: NNFormer) -> None:
    """One block reaches relations only; a global token in A·Aᵀ would let everything reach everything."""
    #  0 -> 1 -> 2        3 -> 4, unconnected
    batch = collate([graph(np.array([(0, 1), (1, 2), (3, 4)]), 5)])
    tokens = batch.tokens.clone().requires_grad_()
    one_block = NNFormer(model.config.model_copy(update={"depth": 1}))
    embedded = one_block(replace(batch, tokens=tokens))
    heard_by_0, heard_by_3 = (
        torch.autograd.grad(embedded[node].square().sum(), tokens, retain_graph=True)[0].abs().sum(-1) > 0
        for node in (0, 3)
    )
    assert heard_by_0.tolist() == [True, True, True, False, False]  # 2 through 1: a block passes messages twice
    assert heard_by_3.tolist() == [False, False, False, True, True]


@pytest.mark.parametrize(
    ("relation", "notice"),
    [
        (Relation.CHILD, {0, 1}),
        (Relation.PARENT, {4}),
        (Relation.COMMON_CHILD, {1}),
        (Relation.COMMON_PARENT, {2, 4}),
    ],
)
def test_head_relations_choose_what_attention_sees(relation: Relation, notice: set[int]) -> None:
    """Node 3 is changed: 0 and 1 feed it, it feeds 4 as 1 does, and 2 and 4 read what feeds it."""
    batch = collate([graph(np.array([(0, 2), (0, 3), (1, 3), (1, 4), (3, 4)]), 5)])
    attention = ASMA(32, heads=2, head_relations=(relation,))
    nodes = torch.randn(5, 32)
    changed = nodes.clone()
    changed[3] += 1
    difference = (attention(changed, batch.relations) - attention(nodes, batch.relations)).abs().sum(-1)
    assert set(torch.argwhere(difference > 1e-5).flatten().tolist()) == notice | {3}


def test_a_graph_without_operations_embeds_to_nothing(model: NNFormer) -> None:
    batch = collate([random_graph(0, 0)])
    assert model(batch).shape == (0, 32)
    assert model.forward_dense(batch.to_dense()).shape == (1, 0, 32)


def test_the_same_seed_gives_the_same_numbers() -> None:
    batch = collate(GRAPHS)
    assert torch.equal(make_model()(batch), make_model()(batch))


def test_a_config_survives_json() -> None:
    config = NNFormerConfig(num_op_types=3, num_features=2, head_relations=(Relation.CHILD, Relation.PARENT))
    assert NNFormerConfig.model_validate_json(config.model_dump_json()) == config
