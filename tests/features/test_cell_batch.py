"""Cells in a batch: operations keep their relations, and a token that sees them all joins afterwards."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from costmodel.errors import DataError
from costmodel.features.cell_batch import CLASS_TOKEN, NUM_POSITION_FEATURES, collate_cells
from costmodel.features.relations import Relation
from costmodel.graph import CellGraph

FORK = CellGraph(np.array([0, 2, 2, 1]), np.array([(0, 1), (0, 2), (1, 3), (2, 3)]))
CHAIN = CellGraph(np.array([0, 1]), np.array([(0, 1)]))


def test_the_token_sees_all_operations_and_nobody_sees_it():
    batch = collate_cells([FORK, CHAIN])

    for masks in batch.relation_masks.unbind(1):
        assert masks[0, CLASS_TOKEN].tolist() == [True] * 5
        assert masks[1, CLASS_TOKEN].tolist() == [True, True, True, False, False]
        assert not masks[:, 1:, CLASS_TOKEN].any()
    assert not batch.adjacency[:, CLASS_TOKEN].any()
    assert not batch.adjacency[:, :, CLASS_TOKEN].any()


def test_operations_have_the_relations_of_their_cell():
    batch = collate_cells([FORK, CHAIN])

    seen = {relation: batch.relation_masks[0, relation, 1:, 1:].nonzero().tolist() for relation in Relation}
    itself = [[node, node] for node in range(4)]
    assert seen[Relation.CHILD] == sorted([*itself, [0, 1], [0, 2], [1, 3], [2, 3]])
    assert seen[Relation.PARENT] == sorted([*itself, [1, 0], [2, 0], [3, 1], [3, 2]])
    assert seen[Relation.COMMON_CHILD] == sorted([*itself, [1, 2], [2, 1]]), "no sibling by way of the token"
    assert seen[Relation.COMMON_PARENT] == sorted([*itself, [1, 2], [2, 1]])
    assert batch.op_types.tolist() == [[0, 1, 3, 3, 2], [0, 1, 2, 0, 0]]
    assert batch.node_mask.tolist() == [[True] * 5, [True, True, True, False, False]]
    assert batch.tokens.shape == (2, 5, 0)


def test_ablations():
    everywhere = collate_cells([FORK, CHAIN], positions=True, global_attention=True)

    assert everywhere.relation_masks[0, :, 1:, 1:].all()
    assert not everywhere.relation_masks[1, :, 1, 3:].any(), "not into the padding"
    assert everywhere.tokens.shape == (2, 5, NUM_POSITION_FEATURES)
    assert len(torch.unique(everywhere.tokens[0], dim=0)) == 5


def test_some_of_a_batch():
    batch = collate_cells([FORK, CHAIN, FORK])
    some = batch[torch.tensor([1, 2])]
    assert len(some) == 2
    for field in ("op_types", "tokens", "adjacency", "node_mask", "relation_masks"):
        torch.testing.assert_close(getattr(some, field), getattr(batch, field)[1:], rtol=0, atol=0)


def test_no_cell_is_no_batch():
    with pytest.raises(DataError):
        collate_cells([])
