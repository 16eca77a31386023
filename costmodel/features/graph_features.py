"""What the model sees of a network: one row per operation that does work."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

__all__ = ["GraphFeatures"]


@dataclass(frozen=True, slots=True)
class GraphFeatures:
    """Numbers for one network, *per image*: the batch is divided out and enters at the platform head.

    Views such as ``Reshape``, which neither compute nor move a byte, have no row; edges run through them.

    Attributes:
        op_types: Index of each operation in :data:`costmodel.graph.vocabulary`.
        tokens: Numeric features, see :mod:`costmodel.features.tokens`.
        work: FLOPs, activation bytes and weight bytes of each operation, the last not divided by the batch.
        kernels: :class:`~costmodel.features.kernel_class.KernelClass` of each operation.
        edges: Pairs (producer, consumer) of rows, sorted.
        op_index: Which operation of the :class:`~costmodel.graph.OpGraph` each row stands for.
        batch: Leading dimension of the network these numbers were taken from.
    """

    op_types: Int[np.ndarray, "nodes"]
    tokens: Float[np.ndarray, "nodes features"]
    work: Float[np.ndarray, "nodes terms"]
    kernels: Int[np.ndarray, "nodes"]
    edges: Int[np.ndarray, "edges 2"]
    op_index: Int[np.ndarray, "nodes"]
    batch: int

    def __len__(self) -> int:
        return len(self.op_types)
