"""What the cost model learns from measured candidates: their order within a task, and by how much they differ."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["centred_huber", "ranking_loss"]

_HUBER_DELTA = 0.1


def ranking_loss(
    log_time: Float[Tensor, "graphs"], measured: Float[Tensor, "graphs"], task: Int[Tensor, "graphs"]
) -> Float[Tensor, ""]:
    """Logistic loss on the order of pairs of a task (RankNet, Burges et al., ICML 2005).

    A pair counts by how much its times differ and by how near its faster one comes to the fastest of its task: a search
    asks for the best few, not for the order of the rest.

    Args:
        log_time: Predicted, natural logarithm.
        measured: Likewise.
        task: Which task each candidate belongs to.
    """
    best = torch.full((int(task.max()) + 1,), torch.inf).scatter_reduce(0, task, measured, "amin")
    merit = (best[task] - measured).exp()
    faster, slower = torch.nonzero(
        (task[:, None] == task[None, :]) & (measured[:, None] < measured[None, :]), as_tuple=True
    )
    weight = merit[faster] * (measured[slower] - measured[faster]).clamp(max=1.0)
    loss = torch.nn.functional.softplus(2 * (log_time[faster] - log_time[slower]))
    return (weight * loss).sum() / weight.sum().clamp(min=1e-6)


def centred_huber(
    log_time: Float[Tensor, "graphs"], measured: Float[Tensor, "graphs"], task: Int[Tensor, "graphs"]
) -> Float[Tensor, ""]:
    """Huber loss on log times, each task's mean error taken out; arguments as for :func:`ranking_loss`."""
    off = log_time - measured
    count = torch.zeros(int(task.max()) + 1).index_add(0, task, torch.ones_like(off)).clamp(min=1)
    mean = torch.zeros_like(count).index_add(0, task, off) / count
    return torch.nn.functional.huber_loss(off, mean[task], delta=_HUBER_DELTA) / _HUBER_DELTA
