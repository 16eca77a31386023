"""Candidates of a made-up matmul, and models of them that never learned anything."""

from __future__ import annotations

import numpy as np
import torch

from costmodel.features import GraphFeatures
from costmodel.integrations.tvm.candidate import (
    WORK_TERMS,
    Access,
    Loop,
    LoopKind,
    Operations,
    Statement,
    StatementGraph,
    candidate_features,
)
from costmodel.integrations.tvm.model import CandidateModel, CandidateModelConfig
from costmodel.integrations.tvm.records import TaskRecords

SHAPE = CandidateModelConfig.of_size(16, 1)

SIZE = 64
_A_LINE = 16
_STRIDES = {"c": {"i": SIZE, "j": 1, "k": 0}, "a": {"i": SIZE, "j": 0, "k": 1}, "b": {"i": 0, "j": 1, "k": SIZE}}


def candidates(count: int, seed: int = 0) -> tuple[GraphFeatures, ...]:
    """``c[i, j] += a[i, k] * b[k, j]``, each axis in two loops, these in any order and the innermost in any kind."""
    rng = np.random.default_rng(seed)
    return tuple(candidate_features([_drawn(rng) for _ in range(count)]))


def _drawn(rng: np.random.Generator) -> StatementGraph:
    inner = {axis: int(rng.choice([2, 4, 8, 16])) for axis in "ijk"}
    nest = [(axis, SIZE // inner[axis], inner[axis]) for axis in rng.permutation([*"ijk"])]
    nest += [(axis, inner[axis], 1) for axis in rng.permutation([*"ijk"])]
    steps = int(rng.choice([0, 16, 64, 512]))
    kinds = [LoopKind.SERIAL] * 5 + [LoopKind(int(rng.choice([LoopKind.SERIAL, LoopKind.VECTORISED])))]
    loops = [
        Loop(depth - 1, depth, extent, kind, steps)
        for depth, ((_, extent, _), kind) in enumerate(zip(nest, kinds, strict=True))
    ]
    accesses = tuple(_access("cab".index(name), name, nest, is_store=False) for name in "cab")
    statement = Statement(
        tuple(range(6)),
        tuple(bool(axis == "k") for axis, _, _ in nest),
        (False,) * len(nest),
        Operations(additions=1, products=1),
        (),
        (*accesses, _access(0, "c", nest, is_store=True)),
        is_update=True,
        has_condition=False,
        unroll_steps=steps,
    )
    return StatementGraph(loops, [statement])


def _access(buffer: int, name: str, nest: list[tuple[str, int, int]], *, is_store: bool) -> Access:
    strides = _STRIDES[name]
    rows, columns = (
        np.array([float(np.prod([extent for axis, extent, _ in nest[depth:] if chosen(axis)])) for depth in range(7)])
        for chosen in (lambda axis: strides[axis] == SIZE, lambda axis: strides[axis] == 1)
    )
    return Access(
        buffer,
        is_store,
        4,
        4.0 * SIZE**2,
        name != "c",
        0.0,
        np.array([strides[axis] * step for axis, _, step in nest], dtype=np.float64),
        4 * rows * columns,
        rows * np.ceil(columns / _A_LINE),
    )


def total_work(found: GraphFeatures, term: str) -> float:
    """What all statements of a candidate do of one of the work terms."""
    return float(found.work[:, WORK_TERMS.index(term)].sum())


def secs_of(found: GraphFeatures) -> float:
    """A made-up truth that simple physics gets wrong: whatever transfers the most to registers is fastest."""
    return float(1e-3 / np.sqrt(total_work(found, "transfers to registers")))


def task(count: int, seed: int = 0, name: str = "matmul") -> TaskRecords:
    """Candidates that took what :func:`secs_of` says."""
    found = candidates(count, seed)
    return TaskRecords(name, "matmul", found, np.array([secs_of(one) for one in found]))


def untrained(seed: int = 0) -> CandidateModel:
    """A model as training starts it: what it predicts is simple physics."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return CandidateModel(SHAPE).eval()


def disagreeing(members: int = 2, seed: int = 0) -> tuple[CandidateModel, ...]:
    """Models whose corrections are random, each with others."""
    found = tuple(untrained(seed + index) for index in range(members))
    for index, model in enumerate(found):
        torch.nn.init.normal_(model.head[-1].weight, std=0.5, generator=torch.Generator().manual_seed(seed + index))
    return found
