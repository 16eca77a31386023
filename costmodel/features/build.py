"""OpGraph → GraphFeatures."""

from __future__ import annotations

from collections import Counter

import numpy as np

from costmodel.features.graph_features import GraphFeatures
from costmodel.features.kernel_class import kernel_classes
from costmodel.features.tokens import FEATURE_NAMES, is_on_weights, op_token
from costmodel.graph.costs import OpCost, op_costs
from costmodel.graph.op_graph import OpGraph
from costmodel.graph.vocabulary import VIEW_OPS, op_type_index

__all__ = ["build_features"]


def build_features(graph: OpGraph, costs: tuple[OpCost, ...] | None = None) -> GraphFeatures:
    """Features of every operation of ``graph`` but the views, which do no work; edges run through those.

    Args:
        graph: A network, simplified or not.
        costs: ``op_costs(graph)`` where the caller has it already.
    """
    if costs is None:
        costs = op_costs(graph)
    batch = graph.batch
    rows = [index for index, op in enumerate(graph.ops) if op.op_type not in VIEW_OPS]
    edges = _edges_between(graph, rows)
    parents = Counter(consumer for _, consumer in edges)
    children = Counter(producer for producer, _ in edges)
    tokens = np.zeros((len(rows), len(FEATURE_NAMES)), dtype=np.float32)
    work = np.zeros((len(rows), 3), dtype=np.float32)
    for row, index in enumerate(rows):
        op, cost = graph.ops[index], costs[index]
        on_weights = is_on_weights(op, graph)
        images = 1 if on_weights else batch
        tokens[row] = op_token(
            op, graph, cost, parents=parents[row], children=children[row], batch=images, on_weights=on_weights
        )
        work[row] = (cost.flops / images, (cost.bytes_moved - cost.weight_bytes) / images, cost.weight_bytes)
    op_types = np.array([op_type_index(graph.ops[index].op_type) for index in rows], dtype=np.int64)
    return GraphFeatures(
        op_types=op_types,
        tokens=tokens,
        work=work,
        kernels=kernel_classes(op_types, tokens),
        edges=np.array(sorted(edges), dtype=np.int64).reshape(-1, 2),
        op_index=np.array(rows, dtype=np.int64),
        batch=batch,
    )


def _edges_between(graph: OpGraph, kept: list[int]) -> set[tuple[int, int]]:
    """Pairs of positions in ``kept`` joined by an edge, or by a path through operations that are not kept."""
    position = {index: row for row, index in enumerate(kept)}
    # For each value, the kept operations whose work it carries.
    carriers: dict[str, frozenset[int]] = {}
    edges: set[tuple[int, int]] = set()
    for index, op in enumerate(graph.ops):
        feeding = frozenset().union(*(carriers.get(name, frozenset()) for name in op.inputs))
        row = position.get(index)
        if row is not None:
            edges.update((producer, row) for producer in feeding)
            feeding = frozenset((row,))
        carriers.update((name, feeding) for name in op.outputs if name)
    return edges
