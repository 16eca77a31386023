"""Graphs side by side."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from costmodel.errors import DataError, GraphError
from costmodel.features.graph_batch import GraphBatch, collate
from costmodel.features.graph_features import GraphFeatures
from costmodel.features.relations import Relation, Relations


def features(num_nodes: int, edges: list[tuple[int, int]], first_op_type: int = 1) -> GraphFeatures:
    rows = np.arange(num_nodes)
    return GraphFeatures(
        op_types=rows + first_op_type,
        tokens=np.stack([rows, rows**2], axis=1).astype(np.float32),
        work=np.full((num_nodes, 3), float(num_nodes)),
        kernels=np.zeros(num_nodes, dtype=np.int64),
        edges=np.array(edges, dtype=np.int64).reshape(-1, 2),
        op_index=rows,
        batch=1,
    )


FORK = features(3, [(0, 1), (0, 2)])
LONE = features(1, [], first_op_type=11)
CHAIN = features(2, [(0, 1)], first_op_type=21)


@pytest.fixture
def batch() -> GraphBatch:
    return collate([FORK, LONE, CHAIN])


def test_graphs_are_concatenated_and_renumbered(batch: GraphBatch) -> None:
    assert len(batch) == 3
    assert batch.op_types.tolist() == [1, 2, 3, 11, 21, 22]
    assert batch.graph_index.tolist() == [0, 0, 0, 1, 2, 2]
    assert batch.edges.tolist() == [[0, 0, 4], [1, 2, 5]]
    assert batch.work[:, 0].tolist() == [3, 3, 3, 1, 2, 2]
    assert batch.tokens.dtype == batch.work.dtype == torch.float32
    assert batch.relations[Relation.CHILD].T.tolist() == [
        [0, 0], [0, 1], [0, 2], [1, 1], [2, 2],  # the fork
        [3, 3],
        [4, 4], [4, 5], [5, 5],
    ]  # fmt: skip


def test_no_pair_crosses_graphs(batch: GraphBatch) -> None:
    for pairs in (batch.edges, *batch.relations):
        assert torch.equal(batch.graph_index[pairs[0]], batch.graph_index[pairs[1]])


def test_relations_kept_by_the_caller_give_the_same_batch(batch: GraphBatch) -> None:
    graphs = [FORK, LONE, CHAIN]
    kept = collate(graphs, [Relations.from_edges(graph.edges, len(graph)) for graph in graphs])
    assert all(map(torch.equal, kept.relations, batch.relations))


def test_padded_form(batch: GraphBatch) -> None:
    dense = batch.to_dense()
    assert dense.node_mask.tolist() == [[True, True, True], [True, False, False], [True, True, False]]
    assert dense.op_types.tolist() == [[1, 2, 3], [11, 0, 0], [21, 22, 0]]
    assert torch.equal(dense.tokens[dense.node_mask], batch.tokens)
    assert not dense.tokens[~dense.node_mask].any()
    assert dense.adjacency.tolist() == [
        [[0, 1, 1], [0, 0, 0], [0, 0, 0]],
        [[0, 0, 0], [0, 0, 0], [0, 0, 0]],
        [[0, 1, 0], [0, 0, 0], [0, 0, 0]],
    ]
    fork = dense.relation_masks[0].int()
    assert fork[Relation.CHILD].tolist() == [[1, 1, 1], [0, 1, 0], [0, 0, 1]]
    assert fork[Relation.PARENT].tolist() == [[1, 0, 0], [1, 1, 0], [1, 0, 1]]
    assert fork[Relation.COMMON_CHILD].tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert fork[Relation.COMMON_PARENT].tolist() == [[1, 0, 0], [0, 1, 1], [0, 1, 1]]
    assert torch.equal(dense.relation_masks[1], torch.eye(3, dtype=torch.bool).expand(4, 3, 3))


def test_moves_to_a_device(batch: GraphBatch) -> None:
    moved = batch.to("meta")
    tensors = [moved.op_types, moved.tokens, moved.work, moved.graph_index, moved.edges, *moved.relations]
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert moved.num_graphs == 3


def test_an_empty_batch_is_refused() -> None:
    with pytest.raises(DataError, match="at least one graph"):
        collate([])


def test_relations_of_other_graphs_are_refused() -> None:
    with pytest.raises(DataError, match=r"\[3\] nodes .* \[1\]"):
        collate([FORK], [Relations.from_edges(LONE.edges, 1)])


@pytest.mark.parametrize("edge", [(0, 2), (-1, 1)])
def test_an_edge_into_the_next_graph_is_refused(edge: tuple[int, int]) -> None:
    with pytest.raises(GraphError, match="rebuild the features"):
        collate([features(2, [(0, 1)]), features(2, [edge]), features(3, [(0, 2)])])


def test_relations_found_at_once_are_those_of_each_graph() -> None:
    rng = np.random.default_rng(0)
    graphs = []
    for size in (1, 9, 40, 3):
        pairs = np.argwhere(np.triu(rng.random((size, size)) < 0.2, k=1))
        graphs.append(features(size, [(int(a), int(b)) for a, b in pairs]))
    one_by_one = collate(graphs, [Relations.from_edges(graph.edges, len(graph)) for graph in graphs])
    at_once = collate(graphs)
    for found, expected in zip(at_once.relations, one_by_one.relations, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=0)
