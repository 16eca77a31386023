"""Cells of a search space side by side, each with a class token that sees all of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from costmodel.features.graph_batch import DenseGraphBatch, collate
from costmodel.features.graph_features import GraphFeatures
from costmodel.graph import CellGraph

__all__ = ["CLASS_TOKEN", "NUM_POSITION_FEATURES", "collate_cells"]

CLASS_TOKEN = 0
"""Type, and place in its graph, of the token that stands for a cell as a whole; operations are numbered from 1."""

NUM_POSITION_FEATURES = 8


def collate_cells(
    cells: Sequence[CellGraph], *, positions: bool = False, global_attention: bool = False
) -> DenseGraphBatch:
    """Put cells side by side, padded to the longest, with a class token in front of the operations of each.

    The token joins the relations after they were found: it sees all operations of its cell in each of them, no
    operation sees it, and no edge leads to it.  Were it a node of the graph, all operations would be siblings.

    Args:
        cells: At least one.
        positions: Whether each operation is told its place in topological order, as sinusoids: an ablation, as the
            relations tell already where it is.
        global_attention: Whether each operation sees all others in each relation: an ablation.

    Raises:
        DataError: There is no cell.
    """
    dense = collate([_features(cell) for cell in cells]).to_dense()
    real, relations = dense.node_mask, dense.relation_masks
    if global_attention:
        itself = torch.eye(real.shape[1], dtype=torch.bool)
        relations = (real[:, None, :, None] & real[:, None, None, :] | itself).expand_as(relations)
    op_types = functional.pad(torch.where(real, dense.op_types + 1, 0), (1, 0), value=CLASS_TOKEN)
    masks = functional.pad(relations, (1, 0, 1, 0))
    masks[:, :, 0, 1:] = real[:, None]
    masks[:, :, 0, 0] = True
    tokens = _sinusoids(op_types.shape[1]) if positions else torch.zeros(op_types.shape[1], 0)
    return DenseGraphBatch(
        op_types=op_types,
        tokens=tokens.expand(len(op_types), -1, -1),
        adjacency=functional.pad(dense.adjacency, (1, 0, 1, 0)),
        node_mask=functional.pad(real, (1, 0), value=True),
        relation_masks=masks,
    )


def _features(cell: CellGraph) -> GraphFeatures:
    """A cell does no work of its own: it is counted where the network is built."""
    count = len(cell)
    return GraphFeatures(
        op_types=cell.operations.astype(np.int64),
        tokens=np.zeros((count, 0), dtype=np.float32),
        work=np.zeros((count, 0), dtype=np.float32),
        kernels=np.zeros(count, dtype=np.int64),
        edges=cell.edges.astype(np.int64).reshape(-1, 2),
        op_index=np.arange(count),
        batch=1,
    )


def _sinusoids(places: int) -> Float[Tensor, "places features"]:
    """As in Vaswani et al., "Attention Is All You Need", 2017."""
    half = NUM_POSITION_FEATURES // 2
    angles = torch.arange(places)[:, None] / 1e4 ** (torch.arange(half) / half)
    return torch.cat([angles.sin(), angles.cos()], dim=1)
