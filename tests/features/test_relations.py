"""Each relation, on graphs small enough to draw."""

from __future__ import annotations

import time
import tracemalloc

import numpy as np
import pytest

from costmodel.errors import GraphError
from costmodel.features.relations import Relation, Relations

CHAIN = np.array([(0, 1), (1, 2), (2, 3)])
#     0
#    / \
#   1   2
#    \ /
#     3
DIAMOND = np.array([(0, 1), (0, 2), (1, 3), (2, 3)])
#   0   1     two inputs, each with a branch of its own; 0 and 1 meet in 3
#   |\ /|
#   2 3 4
BRANCHES_WITH_SHARED_CHILD = np.array([(0, 2), (0, 3), (1, 3), (1, 4)])


def seen_by(relations: Relations, relation: Relation) -> list[set[int]]:
    """For each node the nodes it sees beside itself, after checking that it sees itself and no node twice."""
    query, key = relations.pairs[relation]
    seen: list[set[int]] = [set() for _ in range(relations.num_nodes)]
    for node, other in zip(query.tolist(), key.tolist(), strict=True):
        assert other not in seen[node]
        seen[node].add(other)
    assert all(node in others for node, others in enumerate(seen))
    return [others - {node} for node, others in enumerate(seen)]


@pytest.mark.parametrize(
    ("edges", "num_nodes", "expected"),
    [
        pytest.param(
            CHAIN,
            4,
            {
                Relation.CHILD: [{1}, {2}, {3}, set()],
                Relation.PARENT: [set(), {0}, {1}, {2}],
                Relation.COMMON_CHILD: [set(), set(), set(), set()],
                Relation.COMMON_PARENT: [set(), set(), set(), set()],
            },
            id="chain",
        ),
        pytest.param(
            DIAMOND,
            4,
            {
                Relation.CHILD: [{1, 2}, {3}, {3}, set()],
                Relation.PARENT: [set(), {0}, {0}, {1, 2}],
                Relation.COMMON_CHILD: [set(), {2}, {1}, set()],
                Relation.COMMON_PARENT: [set(), {2}, {1}, set()],
            },
            id="diamond",
        ),
        pytest.param(
            BRANCHES_WITH_SHARED_CHILD,
            5,
            {
                Relation.CHILD: [{2, 3}, {3, 4}, set(), set(), set()],
                Relation.PARENT: [set(), set(), {0}, {0, 1}, {1}],
                Relation.COMMON_CHILD: [{1}, {0}, set(), set(), set()],
                Relation.COMMON_PARENT: [set(), set(), {3}, {2, 4}, {3}],
            },
            id="two branches with a shared child",
        ),
    ],
)
def test_hand_drawn(edges: np.ndarray, num_nodes: int, expected: dict[Relation, list[set[int]]]) -> None:
    relations = Relations.from_edges(edges, num_nodes)
    assert {relation: seen_by(relations, relation) for relation in Relation} == expected


def test_equals_the_matrix_products() -> None:
    rng = np.random.default_rng(0)
    adjacency = np.triu(rng.random((60, 60)) < 0.08, k=1).astype(np.int64)
    itself = np.eye(60, dtype=np.int64)
    relations = Relations.from_edges(np.argwhere(adjacency), 60)
    products = [adjacency, adjacency.T, adjacency @ adjacency.T, adjacency.T @ adjacency]
    for (query, key), product in zip(relations.pairs, products, strict=True):
        mask = np.zeros((60, 60), dtype=bool)
        mask[query, key] = True
        np.testing.assert_array_equal(mask, product + itself > 0)


def test_sorted_by_query_then_by_distance() -> None:
    query, key = Relations.from_edges(np.array([(0, 1), (0, 2), (0, 3), (0, 4)]), 5).pairs[Relation.COMMON_PARENT]
    assert query.tolist() == sorted(query.tolist())
    assert key[query == 3].tolist() == [3, 2, 4, 1]


@pytest.mark.parametrize("num_nodes", [0, 1, 3])
def test_without_edges_every_node_sees_itself_alone(num_nodes: int) -> None:
    relations = Relations.from_edges(np.zeros((0, 2), dtype=np.int64), num_nodes)
    for pairs in relations.pairs:
        assert pairs.tolist() == [list(range(num_nodes))] * 2


def test_repeated_edges_count_once() -> None:
    once, twice = (Relations.from_edges(edges, 4) for edges in (DIAMOND, np.concatenate([DIAMOND, DIAMOND])))
    assert [pairs.tolist() for pairs in once.pairs] == [pairs.tolist() for pairs in twice.pairs]


def test_unknown_node_is_refused() -> None:
    with pytest.raises(GraphError, match="0 to 3, but the graph has 3"):
        Relations.from_edges(CHAIN, 3)


def test_a_crowd_of_siblings_is_cut_to_the_nearest() -> None:
    hub_and_readers = np.array([(0, reader) for reader in range(1, 12)])
    relations = Relations.from_edges(hub_and_readers, 12, max_siblings=3)
    siblings = seen_by(relations, Relation.COMMON_PARENT)
    assert siblings[1] == {2, 3, 4}
    assert siblings[6] == {5, 7, 4}  # of 4 and 8, equally near, the earlier
    assert siblings[11] == {8, 9, 10}
    assert seen_by(relations, Relation.CHILD)[0] == set(range(1, 12))  # children are never cut


def test_the_nearest_are_chosen_over_all_common_relatives() -> None:
    first_family = [(0, 2), (0, 3), (0, 9)]
    second_family = [(1, 3), (1, 4), (1, 5), (1, 8)]
    relations = Relations.from_edges(np.array(first_family + second_family), 10, max_siblings=2)
    assert seen_by(relations, Relation.COMMON_PARENT)[3] == {2, 4}


@pytest.mark.parametrize("hub_first", [True, False])
def test_a_star_of_20000_nodes_takes_linear_time_and_memory(hub_first: bool) -> None:
    hub, others = (0, np.arange(1, 20_000)) if hub_first else (19_999, np.arange(19_999))
    edges = np.stack(np.broadcast_arrays(hub, others)[:: 1 if hub_first else -1], axis=1)
    start = time.thread_time()
    relations = Relations.from_edges(edges, 20_000)
    assert time.thread_time() - start < 1
    crowded = relations.pairs[Relation.COMMON_PARENT if hub_first else Relation.COMMON_CHILD]
    assert crowded.shape[1] == 19_999 * (64 + 1) + 1

    tracemalloc.start()
    Relations.from_edges(edges, 20_000)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 20_000 * 20_000  # what even one byte a pair of the full product would take
