"""What networks do, and what known platforms would take for it: all that calibration sees beside the measurements."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from costmodel.features import GraphFeatures
from costmodel.features.cost_term import CostTerm
from costmodel.features.kernel_class import KernelClass
from costmodel.features.work import kernel_totals, work_by_kernel
from costmodel.pretrained import Bundle, sum_by_kernel

__all__ = ["LEAST_MS", "NetworkProfiles", "work_of"]

LEAST_MS = 1e-9
"""Keeps logarithms of milliseconds finite."""


@dataclass(frozen=True)
class NetworkProfiles:
    """Milliseconds of networks on known platforms, apart for each class of kernels and each term of their cost.

    Attributes:
        term_ms: Milliseconds by network, platform, :class:`~costmodel.features.kernel_class.KernelClass` and
            :class:`~costmodel.features.cost_term.CostTerm`.
        work: What the networks do: GFLOPs, megabytes of activations and of weights, and operations.
    """

    term_ms: Float[np.ndarray, "networks platforms kernels terms"]
    work: Float[np.ndarray, "networks kernels terms"]

    @classmethod
    def of_features(cls, bundle: Bundle, graphs: Sequence[GraphFeatures], batches: Sequence[int]) -> NetworkProfiles:
        """Profiles of networks, each run at a batch of its own.

        Args:
            bundle: Weights to predict with.
            graphs: Features of each network.
            batches: Images a run of each network.
        """
        terms = bundle.term_ms(graphs, batches)
        profiles = np.empty((len(graphs), len(bundle.config.platforms), len(KernelClass), len(CostTerm)))
        for profile, term_ms, graph in zip(profiles, terms, graphs, strict=True):
            profile[:] = sum_by_kernel(term_ms, graph.kernels)
        return cls(profiles, work_of(graphs, batches))

    def __len__(self) -> int:
        return len(self.term_ms)

    @property
    def num_platforms(self) -> int:
        """How many platforms are known."""
        return int(self.term_ms.shape[1])

    @property
    def latency_ms(self) -> Float[np.ndarray, "networks platforms"]:
        """Predicted latency on each known platform, milliseconds."""
        latency: Float[np.ndarray, "networks platforms"] = self.term_ms.sum(axis=(2, 3))
        return latency

    def subset(self, rows: Iterable[int] | Int[np.ndarray, "rows"]) -> NetworkProfiles:
        """The networks at ``rows``."""
        index = np.fromiter(rows, dtype=np.int64)
        return NetworkProfiles(self.term_ms[index], self.work[index])

    def joined(self, others: NetworkProfiles) -> NetworkProfiles:
        """These networks, then those."""
        return NetworkProfiles(np.concatenate([self.term_ms, others.term_ms]), np.concatenate([self.work, others.work]))

    def embedding(self) -> Float[np.ndarray, "networks platforms+1"]:
        """Where each network stands: how it favours each platform, and its size, every axis of like spread.

        Two networks close to each other take about as long on any platform that resembles the known ones.
        """
        log_ms = np.log(np.maximum(self.latency_ms, LEAST_MS))
        size = log_ms.mean(axis=1, keepdims=True)
        favours = log_ms - size
        axes = np.concatenate([favours / _spread(favours), 2 * size / _spread(size)], axis=1)
        embedding: Float[np.ndarray, "networks platforms+1"] = axes - axes.mean(axis=0)
        return embedding


def work_of(graphs: Sequence[GraphFeatures], batches: Sequence[int]) -> Float[np.ndarray, "networks kernels terms"]:
    """The work of networks in a run, apart for each class of kernels; see :class:`NetworkProfiles`."""
    return work_by_kernel(kernel_totals(graphs), np.asarray(batches, dtype=np.float64))


def _spread(columns: Float[np.ndarray, "networks columns"]) -> Float[np.ndarray, "columns"]:
    spread: Float[np.ndarray, "columns"] = np.maximum(columns.std(axis=0), LEAST_MS)
    return spread
