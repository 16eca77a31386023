"""Cells and accuracies in, a fitted :class:`~costmodel.model.AccuracyModel` out."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from costmodel.features.graph_batch import DenseGraphBatch
from costmodel.model.accuracy_model import AccuracyModel
from costmodel.training.accuracy_losses import accuracy_loss
from costmodel.training.checkpoint import Checkpoint
from costmodel.training.metrics import kendall_tau

__all__ = ["AccuracyFitConfig", "fit_accuracy_model", "predict_accuracies"]

_CELLS_A_FORWARD = 512
_STEPS_A_CHECK = 25
"""So often it is looked how good the average is, and the run is kept."""


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
        ranking: Weight of the loss on differences between cells; the paper has 0.2.
        dropout_consistency: Weight of the loss between two passes under dropout.
        validation_share: Share of the cells that are not learned from, but decide at which step the average is kept:
            where it puts them in the best order.  At 0 it is the last.
        seed: Of the order of cells, what is held out, and of dropout.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(default=500, ge=1)
    cells_per_step: int = Field(default=128, ge=2)
    learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    warmup: float = Field(default=0.1, ge=0, lt=1)
    clip_norm: float = Field(default=5.0, gt=0)
    average_decay: float = Field(default=0.99, ge=0, lt=1)
    ranking: float = Field(default=1.0, ge=0)
    dropout_consistency: float = Field(default=1.0, ge=0)
    validation_share: float = Field(default=0.0, ge=0, lt=1)
    seed: int = 0


def fit_accuracy_model(
    model: AccuracyModel,
    cells: DenseGraphBatch,
    accuracies: Float[Tensor, " cells"],
    config: AccuracyFitConfig,
    *,
    checkpoint: Path | None = None,
    on_check: Callable[[int, dict[str, float]], None] | None = None,
) -> AccuracyModel:
    """Train ``model`` in place and return it, holding the averaged weights.

    Args:
        model: Where to start from.
        cells: What to learn from, at least two.
        accuracies: Their accuracies, as normal scores or standardised.
        config: How.
        checkpoint: File that keeps the run as it goes; where it is there, the run goes on from it, and ends with the
            same weights as an uninterrupted one.
        on_check: Called now and then with the step, from 1, and the mean loss since the last call; and with Kendall's
            tau on the cells that are held out, if any.

    Raises:
        WeightsError: The checkpoint was written by a run with other settings or data.
    """
    trainer = _Trainer(model, cells, accuracies, config)
    trainer.run(checkpoint, on_check)
    model.load_state_dict(trainer.best or trainer.average)
    return model.eval()


@torch.no_grad()
def predict_accuracies(model: AccuracyModel, cells: DenseGraphBatch) -> Float[Tensor, " cells"]:
    """What a trained model says of each cell, in the unit of its labels."""
    model.eval()
    parts = torch.split(torch.arange(len(cells)), _CELLS_A_FORWARD)
    return torch.cat([model(cells[rows]) for rows in parts])


class _Trainer:
    """State of one run: model, average, the best average so far, optimiser, and where in the schedule it stands."""

    def __init__(
        self,
        model: AccuracyModel,
        cells: DenseGraphBatch,
        accuracies: Float[Tensor, " cells"],
        config: AccuracyFitConfig,
    ) -> None:
        self.model, self.cells, self.accuracies, self.config = model, cells, accuracies, config
        order = np.random.default_rng(config.seed).permutation(len(cells))
        held_out = min(round(config.validation_share * len(cells)), len(cells) - 2)
        self.validation, self.known = (torch.from_numpy(rows) for rows in np.split(order, [held_out]))
        self.optimizer = torch.optim.AdamW(
            model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.average = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        self.best: dict[str, Tensor] = {}
        self.best_tau = -math.inf
        self.step = 0

    def run(self, checkpoint: Path | None, on_check: Callable[[int, dict[str, float]], None] | None) -> None:
        kept = None if checkpoint is None else Checkpoint(checkpoint, self._fingerprint())
        others = {"average": self.average, "best": self.best}
        at = None if kept is None else kept.resume(self.model, self.optimizer, others)
        if at is not None:
            self.step, self.best_tau = int(at["step"]), at["best_tau"]
        losses: list[float] = []
        while self.step < self.config.steps:
            losses.append(self._step())
            if self.step % _STEPS_A_CHECK and self.step < self.config.steps:
                continue
            metrics = {"loss": float(np.mean(losses)), **self._validate()}
            losses = []
            if kept is not None:
                kept.save(self.model, self.optimizer, others, {"step": self.step, "best_tau": self.best_tau})
            if on_check is not None:
                on_check(self.step, metrics)

    def _step(self) -> float:
        config = self.config
        rows = self._rows()
        torch.manual_seed(config.seed * 100_003 + self.step)
        self.model.train()
        batch, labels = self.cells[rows], self.accuracies[rows]
        loss = accuracy_loss(self.model(batch), self.model(batch), labels, config.ranking, config.dropout_consistency)
        for group in self.optimizer.param_groups:
            group["lr"] = config.learning_rate * _rate(self.step, config)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own gap
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), config.clip_norm)
        self.optimizer.step()
        # The decay grows from zero, so that the first steps do not linger in the average.
        decay = min(config.average_decay, self.step / (self.step + 10))
        for name, tensor in self.model.state_dict().items():
            self.average[name].lerp_(tensor, 1 - decay)
        self.step += 1
        return float(loss.detach())

    def _rows(self) -> Tensor:
        """Cells of the step at hand: passes over all of them, each in an order of its own."""
        steps_a_pass = max(len(self.known) // self.config.cells_per_step, 1)
        number, place = divmod(self.step, steps_a_pass)
        order = np.random.default_rng((self.config.seed, number)).permutation(len(self.known))
        first = place * self.config.cells_per_step
        return self.known[torch.from_numpy(order[first : first + self.config.cells_per_step])]

    def _validate(self) -> dict[str, float]:
        if len(self.validation) < 2:
            return {}
        held = {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}
        self.model.load_state_dict(self.average)
        said = predict_accuracies(self.model, self.cells[self.validation])
        self.model.load_state_dict(held)
        tau = kendall_tau(said.numpy(), self.accuracies[self.validation].numpy())
        if tau >= self.best_tau:
            self.best_tau = tau
            self.best.update({name: tensor.clone() for name, tensor in self.average.items()})
        return {"validation_tau": tau}

    def _fingerprint(self) -> str:
        labels = hashlib.sha256(self.accuracies.numpy().tobytes()).hexdigest()
        return json.dumps([self.config.model_dump(), self.model.trunk.config.model_dump(), labels])


def _rate(step: int, config: AccuracyFitConfig) -> float:
    warmup = max(config.warmup * config.steps, 1)
    if step < warmup:
        return (step + 1) / warmup
    share = (step - warmup) / max(config.steps - warmup, 1)
    return 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * share))
