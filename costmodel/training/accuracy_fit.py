"""Cells and accuracies in, a fitted :class:`~costmodel.model.AccuracyModel` out."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from costmodel.features.graph_batch import DenseGraphBatch
from costmodel.model.accuracy_model import AccuracyModel
from costmodel.training.accuracy_losses import accuracy_loss

__all__ = ["AccuracyFitConfig", "fit_accuracy_model", "predict_accuracies"]

_CELLS_A_FORWARD = 512


class AccuracyFitConfig(BaseModel):
    """How to train.

    Attributes:
        steps: Gradient steps.
        cells_per_step: Cells a step; all of them if there are fewer.
        learning_rate: Peak rate, after a linear warm-up and before a cosine decay to a tenth.
        weight_decay: AdamW's.
        warmup: Share of the steps spent warming up.
        clip_norm: Gradients are scaled down to this norm.
        average_decay: Decay of the exponential moving average of the weights that is kept.
        ranking: Weight of the loss on differences between cells.
        dropout_consistency: Weight of the loss between two passes under dropout.
        seed: Of the order of cells, and of dropout.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(default=400, ge=1)
    cells_per_step: int = Field(default=128, ge=2)
    learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    warmup: float = Field(default=0.1, ge=0, lt=1)
    clip_norm: float = Field(default=5.0, gt=0)
    average_decay: float = Field(default=0.99, ge=0, lt=1)
    ranking: float = Field(default=0.2, ge=0)
    dropout_consistency: float = Field(default=1.0, ge=0)
    seed: int = 0


def fit_accuracy_model(
    model: AccuracyModel,
    cells: DenseGraphBatch,
    accuracies: Float[Tensor, " cells"],
    config: AccuracyFitConfig,
    on_step: Callable[[int, float], None] | None = None,
) -> AccuracyModel:
    """Train ``model`` in place and return it, holding the averaged weights.

    Args:
        model: Where to start from.
        cells: What to learn from, at least two.
        accuracies: Their accuracies, standardised.
        config: How.
        on_step: Called after each step with its number, from 1, and its loss.
    """
    rng = np.random.default_rng(config.seed)
    torch.manual_seed(config.seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, config))
    average = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    order = np.zeros(0, dtype=np.int64)
    model.train()
    for step in range(config.steps):
        if len(order) < min(config.cells_per_step, len(cells)):
            order = rng.permutation(len(cells))
        rows, order = torch.from_numpy(order[: config.cells_per_step]), order[config.cells_per_step :]
        batch, labels = cells[rows], accuracies[rows]
        loss = accuracy_loss(model(batch), model(batch), labels, config.ranking, config.dropout_consistency)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own gap
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
        optimizer.step()
        schedule.step()
        # The decay grows from zero, so that the first steps do not linger in the average.
        decay = min(config.average_decay, step / (step + 10))
        for name, tensor in model.state_dict().items():
            average[name].lerp_(tensor, 1 - decay)
        if on_step is not None:
            on_step(step + 1, float(loss.detach()))
    model.load_state_dict(average)
    return model.eval()


@torch.no_grad()
def predict_accuracies(model: AccuracyModel, cells: DenseGraphBatch) -> Float[Tensor, " cells"]:
    """What a trained model says of each cell, standardised as its labels were."""
    model.eval()
    parts = torch.split(torch.arange(len(cells)), _CELLS_A_FORWARD)
    return torch.cat([model(cells[rows]) for rows in parts])


def _rate(step: int, config: AccuracyFitConfig) -> float:
    warmup = max(config.warmup * config.steps, 1)
    if step < warmup:
        return (step + 1) / warmup
    share = (step - warmup) / max(config.steps - warmup, 1)
    return 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * share))
