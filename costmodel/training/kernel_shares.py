"""Where the time of a measured network went, kernel by kernel: what its operations' predictions are compared with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from costmodel.features.graph_features import GraphFeatures

__all__ = ["KernelShares", "kernel_share_loss"]


@dataclass(frozen=True)
class KernelShares:
    """Parts of a network's time.

    Attributes:
        groups: For each operation, which group it belongs to; a group's operations ran as one kernel.
        shares: Of each group, 0 to 1; they add up to 1.
    """

    groups: Int[np.ndarray, "nodes"]
    shares: Float[np.ndarray, "groups"]

    @classmethod
    def of_times(
        cls, node_ms: Mapping[str, float], features: GraphFeatures, sources: Sequence[Sequence[str]]
    ) -> Self | None:
        """From the times of a profile.

        An operation that no kernel is named after was fused with what reads it: runtimes call a fused kernel after its
        last node.  Time of nodes that no operation stands for, such as changes of layout, counts nowhere.

        Args:
            node_ms: Milliseconds by the name of a model's node.
            features: The network, a row for each operation.
            sources: Names of the model's nodes that each row stands for.

        Returns:
            The shares; ``None`` where no time is known of any operation.
        """
        rows_of: dict[str, list[int]] = {}
        for row, names in enumerate(sources):
            for name in names:
                rows_of.setdefault(name, []).append(row)
        group = list(range(len(features)))

        def find(row: int) -> int:
            while group[row] != row:
                row = group[row]
            return row

        times = np.zeros(len(features))
        timed: set[int] = set()
        for name, milliseconds in node_ms.items():
            rows = rows_of.get(name, [])
            timed.update(rows)
            for row in rows:
                group[find(row)] = find(rows[0])
            if rows:
                times[rows[0]] += milliseconds
        first_reader: dict[int, int] = {}
        for producer, consumer in features.edges.tolist():
            first_reader.setdefault(producer, consumer)
        for row in range(len(features)):
            if row not in timed and row in first_reader:
                group[find(row)] = find(first_reader[row])
        total = times.sum()
        if not total:
            return None
        _, groups = np.unique([find(row) for row in range(len(features))], return_inverse=True)
        return cls(groups, np.bincount(groups, times) / total)


def kernel_share_loss(
    op_ms: Float[Tensor, "nodes platforms"], measured: Iterable[tuple[int, int, KernelShares]]
) -> Float[Tensor, ""]:
    """Half the sum of differences between predicted and measured shares, 0 to 1; mean over networks and platforms.

    Args:
        op_ms: Predicted milliseconds of each operation of a batch.
        measured: First row of a network in the batch, platform, and its shares there.
    """
    distances = []
    for start, platform, known in measured:
        groups = torch.as_tensor(known.groups)
        own = op_ms[start : start + len(groups), platform]
        predicted = own.new_zeros(len(known.shares)).index_add(0, groups, own)
        shares = torch.as_tensor(known.shares, dtype=own.dtype)
        distances.append((predicted / predicted.sum() - shares).abs().sum() / 2)
    return torch.stack(distances).mean() if distances else op_ms.new_zeros(())
