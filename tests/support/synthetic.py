"""Small made-up networks whose latency follows a known law."""

from __future__ import annotations

import numpy as np

from costmodel.features import FEATURE_NAMES, GraphFeatures
from costmodel.training import TrainingSet

MS_PER_GFLOP, MS_PER_MB, MS_PER_OP = 3.0, 0.4, 0.02


def chain(nodes: int, rng: np.random.Generator) -> GraphFeatures:
    work = np.stack([rng.uniform(1e6, 1e9, nodes), rng.uniform(1e4, 1e7, nodes), rng.uniform(0, 1e6, nodes)], axis=1)
    tokens = np.zeros((nodes, len(FEATURE_NAMES)), dtype=np.float32)
    tokens[:, :3] = np.log2(1 + work) / 8
    return GraphFeatures(
        op_types=rng.integers(1, 5, nodes),
        tokens=tokens,
        work=work.astype(np.float32),
        kernels=rng.integers(1, 5, nodes),
        edges=np.stack([np.arange(nodes - 1), np.arange(1, nodes)], axis=1),
        op_index=np.arange(nodes),
        batch=1,
    )


def latency_ms(features: GraphFeatures, batch: float, slowdown: np.ndarray | float = 1.0) -> float:
    flops, activations, weights = features.work.astype(np.float64).T
    per_op = batch * flops * 1e-9 * MS_PER_GFLOP + (batch * activations + weights) * 1e-6 * MS_PER_MB + MS_PER_OP
    return float((per_op * slowdown).sum())


def training_set(networks: int = 24, seed: int = 0) -> TrainingSet:
    """Platform ``law`` follows the prior exactly; on ``odd`` operations of type 2 take three times as long."""
    rng = np.random.default_rng(seed)
    features = [chain(int(rng.integers(3, 12)), rng) for _ in range(networks)]
    labels = np.array([[latency_ms(f, 1), latency_ms(f, 8, np.where(f.op_types == 2, 3.0, 1.0))] for f in features])
    labels[::5, 1] = np.nan
    return TrainingSet(
        names=tuple(f"net{i}" for i in range(networks)),
        families=tuple(f"family{i % 6}" for i in range(networks)),
        features=tuple(features),
        platforms=("law", "odd"),
        latency_ms=labels,
        batch=np.tile([1.0, 8.0], (networks, 1)),
    )
