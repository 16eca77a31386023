"""What networks do in a run, in the units that rates are given in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from costmodel.features.cost_term import GROWS_WITH_BATCH, CostTerm
from costmodel.features.graph_features import GraphFeatures
from costmodel.features.kernel_class import KernelClass

__all__ = ["kernel_totals", "work_by_kernel", "work_by_operation"]

_UNITS = np.array([1e-9, 1e-6, 1e-6, 1.0])


def work_by_operation(graph: GraphFeatures, batch: int) -> Float[np.ndarray, "nodes terms"]:
    """GFLOPs, megabytes of activations and of weights, and one start, of each operation in a run of ``batch`` images.

    Arithmetic on weights alone is done once a run.
    """
    return _in_a_run(np.c_[graph.work, np.ones(len(graph))], graph.kernels, np.array(batch))


def work_by_kernel(
    totals: Float[np.ndarray, "graphs kernels terms"], batch: Float[np.ndarray, "graphs"]
) -> Float[np.ndarray, "graphs kernels terms"]:
    """As :func:`work_by_operation`, of networks.

    Args:
        totals: Work of each network, from :func:`kernel_totals`.
        batch: Images in a run of each.
    """
    return _in_a_run(totals, np.arange(len(KernelClass)), batch[:, None])


def kernel_totals(graphs: Sequence[GraphFeatures]) -> Float[np.ndarray, "graphs kernels terms"]:
    """FLOPs, activation bytes and weight bytes per image, and operations, for each class of kernels."""
    totals = np.zeros((len(graphs), len(KernelClass), len(CostTerm)))
    for graph_totals, graph in zip(totals, graphs, strict=True):
        np.add.at(graph_totals, graph.kernels, np.c_[graph.work, np.ones(len(graph))])
    return totals


def _in_a_run(
    work: Float[np.ndarray, "*rows terms"], kernels: Int[np.ndarray, "rows"], batch: np.ndarray
) -> Float[np.ndarray, "*rows terms"]:
    """``work`` in units, times the images that it is done for."""
    images = np.where(kernels == KernelClass.ON_WEIGHTS, 1, batch)[..., None]
    in_a_run: Float[np.ndarray, "*rows terms"] = work * _UNITS * np.where(GROWS_WITH_BATCH, images, 1)
    return in_a_run
