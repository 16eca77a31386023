"""What training minimises.  All losses compare log latencies and skip the pairs nobody measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

__all__ = ["LOSSES", "LossName", "between_platforms", "log_huber", "squared_relative"]

_LogMs = Float[Tensor, "graphs platforms"]


def log_huber(predicted: _LogMs, measured: _LogMs, known: Bool[Tensor, "graphs platforms"]) -> Float[Tensor, ""]:
    """Huber loss on the log latency: linear beyond a factor of 1.05, so a few odd labels do not lead.

    A difference of logs is a relative error that punishes half and double alike.
    """
    return _mean_known(torch.nn.functional.huber_loss(predicted, measured, reduction="none", delta=0.05) / 0.05, known)


def squared_relative(predicted: _LogMs, measured: _LogMs, known: Bool[Tensor, "graphs platforms"]) -> Float[Tensor, ""]:
    """Squared relative error of the latency, the paper's loss."""
    # Clamped so that one wild prediction early in training cannot overflow.
    ratio = (predicted - measured).clamp(max=3.0).exp()
    return _mean_known((ratio - 1).square(), known)


def between_platforms(
    predicted: _LogMs, measured: _LogMs, known: Bool[Tensor, "graphs platforms"]
) -> Float[Tensor, ""]:
    """As :func:`log_huber`, of what a platform takes relative to the others that a network was measured on.

    What is the same on all of them, a network as a whole too slow, counts nothing.
    """
    off = torch.where(known, predicted - measured, 0.0)
    mean = off.sum(dim=1, keepdim=True) / known.sum(dim=1, keepdim=True).clamp(min=1)
    return log_huber(off - mean, torch.zeros_like(off), known)


def _mean_known(loss: _LogMs, known: Bool[Tensor, "graphs platforms"]) -> Float[Tensor, ""]:
    return torch.where(known, loss, 0.0).sum() / known.sum().clamp(min=1)


LossName = Literal["log_huber", "squared_relative"]
LOSSES: dict[LossName, Callable[[_LogMs, _LogMs, Bool[Tensor, "graphs platforms"]], Float[Tensor, ""]]] = {
    "log_huber": log_huber,
    "squared_relative": squared_relative,
}
