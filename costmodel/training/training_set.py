"""Networks as features beside their measured latencies: what the training loop walks over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float

from costmodel.errors import DataError
from costmodel.features.graph_features import GraphFeatures
from costmodel.features.work import kernel_totals
from costmodel.training.kernel_shares import KernelShares

__all__ = ["TrainingSet"]


@dataclass(frozen=True)
class TrainingSet:
    """Graphs and a table of labels, NaN where a network was not measured on a platform.

    Attributes:
        names: Name of each network.
        families: Architecture family of each network; whole families are held out together.
        features: Features of each network.
        platforms: Name of each column of the label table.
        latency_ms: Measured latency of a batch, milliseconds.
        batch: Batch size of each measurement; anything where ``latency_ms`` is NaN.
        kernel_shares: Where the time of a network (row) on a platform (column) went, where it was profiled.
    """

    names: tuple[str, ...]
    families: tuple[str, ...]
    features: tuple[GraphFeatures, ...]
    platforms: tuple[str, ...]
    latency_ms: Float[np.ndarray, "graphs platforms"]
    batch: Float[np.ndarray, "graphs platforms"]
    kernel_shares: Mapping[tuple[int, int], KernelShares] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = (len(self.names), len(self.platforms))
        if self.latency_ms.shape != shape or self.batch.shape != shape:
            raise DataError(
                f"label table: expected {shape} latencies and batches, "
                f"got {self.latency_ms.shape} and {self.batch.shape}."
            )
        measured = self.latency_ms[~np.isnan(self.latency_ms)]
        if not (np.isfinite(measured).all() and (measured > 0).all()):
            raise DataError("label table: every latency must be a finite number of milliseconds above zero.")

    def __len__(self) -> int:
        return len(self.names)

    def subset(self, rows: Sequence[int] | np.ndarray) -> TrainingSet:
        """The networks at ``rows``, on the same platforms."""
        index = [int(row) for row in rows]
        return TrainingSet(
            tuple(self.names[row] for row in index),
            tuple(self.families[row] for row in index),
            tuple(self.features[row] for row in index),
            self.platforms,
            self.latency_ms[index],
            self.batch[index],
            {
                (place, column): self.kernel_shares[row, column]
                for place, row in enumerate(index)
                for column in range(len(self.platforms))
                if (row, column) in self.kernel_shares
            },
        )

    def on_platforms(self, platforms: Sequence[str]) -> TrainingSet:
        """The same networks, with labels on ``platforms`` only.

        Raises:
            ValueError: One of them has no column.
        """
        columns = [self.platforms.index(name) for name in platforms]
        return replace(
            self,
            platforms=tuple(platforms),
            latency_ms=self.latency_ms[:, columns],
            batch=self.batch[:, columns],
            kernel_shares={
                (row, columns.index(column)): shares
                for (row, column), shares in self.kernel_shares.items()
                if column in columns
            },
        )

    def family_folds(self, folds: int, seed: int) -> list[np.ndarray]:
        """Rows of each of ``folds`` test sets: whole families, balanced in networks, the same for the same seed."""
        rng = np.random.default_rng(seed)
        members: dict[str, list[int]] = {}
        for row, family in enumerate(self.families):
            members.setdefault(family, []).append(row)
        names = sorted(members)
        rng.shuffle(names)
        names.sort(key=lambda family: -len(members[family]))
        buckets: list[list[int]] = [[] for _ in range(folds)]
        for family in names:
            min(buckets, key=len).extend(members[family])
        return [np.array(sorted(bucket), dtype=np.int64) for bucket in buckets]

    def work_totals(self) -> Float[np.ndarray, "graphs 4"]:
        """FLOPs, activation bytes and weight bytes of each network per image, and its number of operations."""
        return np.array(
            [[*features.work.sum(0, dtype=np.float64), len(features)] for features in self.features]
        ).reshape(-1, 4)

    def kernel_totals(self) -> Float[np.ndarray, "graphs kernels 4"]:
        """:meth:`work_totals`, apart for each :class:`~costmodel.features.kernel_class.KernelClass`."""
        return kernel_totals(self.features)
