"""The one training loop: graphs and labels in, a fitted :class:`~costmodel.model.LatencyModel` out."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field

from costmodel.features.graph_batch import GraphBatch, collate
from costmodel.features.relations import Relations
from costmodel.model.latency_model import LatencyModel
from costmodel.training.checkpoint import Checkpoint
from costmodel.training.kernel_shares import KernelShares, kernel_share_loss
from costmodel.training.losses import LOSSES, LossName, between_platforms
from costmodel.training.metrics import mape_percent
from costmodel.training.prior_fit import fit_rates
from costmodel.training.training_set import TrainingSet

__all__ = ["FitConfig", "fit", "predict_log_ms"]

_log = logging.getLogger(__name__)


class FitConfig(BaseModel):
    """How to train.

    Attributes:
        epochs: Passes over the training graphs.
        graphs_per_step: Graphs a gradient step.
        learning_rate: Peak rate, after a linear warm-up and before a cosine decay to zero.
        rate_learning_rate: Peak rate of the platforms' physical constants.
        weight_decay: AdamW's, on matrices only.
        warmup: Share of the steps spent warming up.
        clip_norm: Gradients are scaled down to this norm.
        token_noise: Chance that an operation's type is hidden during training, so that the model
            learns what to say of a type it has never seen.
        average_decay: Decay of the exponential moving average of the weights that is kept; 0 keeps the last.
        loss: Which loss.
        between_platforms: Weight of a loss on what platforms take relative to each other, for weights that are to
            choose between them.
        kernel_shares: Weight of a loss on which part of a network's time each operation takes, where that was profiled.
        seed: Of the order of graphs, dropout and hidden types.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(default=40, ge=1)
    graphs_per_step: int = Field(default=8, ge=1)
    learning_rate: float = Field(default=2e-3, gt=0)
    rate_learning_rate: float = Field(default=5e-3, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    warmup: float = Field(default=0.1, ge=0, lt=1)
    clip_norm: float = Field(default=1.0, gt=0)
    token_noise: float = Field(default=0.03, ge=0, lt=1)
    average_decay: float = Field(default=0.998, ge=0, lt=1)
    loss: LossName = "log_huber"
    between_platforms: float = Field(default=0.0, ge=0)
    kernel_shares: float = Field(default=0.0, ge=0)
    seed: int = 0


def fit(
    model: LatencyModel,
    train: TrainingSet,
    config: FitConfig,
    *,
    validation: TrainingSet | None = None,
    run_dir: Path | None = None,
    on_epoch: Callable[[int, dict[str, float]], None] | None = None,
) -> LatencyModel:
    """Train ``model`` in place and return it, holding the averaged weights.

    With ``run_dir``, every epoch appends a line to ``metrics.jsonl`` and replaces the checkpoint
    ``state.safetensors``; a later call with the same ``run_dir`` goes on from there and ends with the
    same weights as an uninterrupted run.

    Args:
        model: The model; its rates are set from ``train`` before the first step.
        train: What to learn from.
        config: How.
        validation: Networks to report the error of, once an epoch; they do not influence training.
        run_dir: Where to keep checkpoints and metrics.
        on_epoch: Called after each epoch with its number, from 1, and its metrics.
    """
    trainer = _Trainer(model, train, config)
    start = trainer.resume(run_dir) if run_dir else 0
    for epoch in range(start + 1, config.epochs + 1):
        began = time.perf_counter()
        metrics = {"epoch": float(epoch), "loss": trainer.run_epoch(epoch)}
        if validation is not None:
            metrics |= _validate(trainer.averaged(), validation)
        metrics["seconds"] = time.perf_counter() - began
        if run_dir:
            trainer.save(run_dir, epoch)
            with (run_dir / "metrics.jsonl").open("a") as stream:
                stream.write(json.dumps({key: round(value, 5) for key, value in metrics.items()}) + "\n")
        _log.info("epoch %d: %s", epoch, metrics)
        if on_epoch is not None:
            on_epoch(epoch, metrics)
    model.load_state_dict(trainer.average)
    return model.eval()


@torch.no_grad()
def predict_log_ms(model: LatencyModel, data: TrainingSet, graphs_per_step: int = 16) -> np.ndarray:
    """Log latency in milliseconds of every network of ``data`` on every platform, ``(graphs, platforms)``."""
    model.eval()
    out = []
    for start in range(0, len(data), graphs_per_step):
        rows = range(start, min(start + graphs_per_step, len(data)))
        batch = collate([data.features[row] for row in rows])
        sizes = torch.as_tensor(np.nan_to_num(data.batch[list(rows)], nan=1.0), dtype=torch.float32)
        out.append(model(batch, sizes).log_ms.numpy())
    return np.concatenate(out) if out else np.zeros((0, len(data.platforms)), dtype=np.float32)


def _validate(model: LatencyModel, data: TrainingSet) -> dict[str, float]:
    predicted = np.exp(predict_log_ms(model, data))
    known = ~np.isnan(data.latency_ms)
    per_platform = [
        mape_percent(predicted[mask, column], data.latency_ms[mask, column])
        for column, mask in enumerate(known.T)
        if mask.any()
    ]
    return {"validation_mape_percent": float(np.mean(per_platform))}


class _Trainer:
    """State of one training run: model, average, optimiser, and where in the schedule it stands."""

    def __init__(self, model: LatencyModel, train: TrainingSet, config: FitConfig) -> None:
        self.model, self.train, self.config = model, train, config
        self.loss = LOSSES[config.loss]
        self.relations = [Relations.from_edges(item.edges, len(item)) for item in train.features]
        self.measured = torch.as_tensor(np.log(train.latency_ms), dtype=torch.float32)
        self.known = ~torch.isnan(self.measured)
        self.measured = torch.nan_to_num(self.measured)
        self.sizes = torch.as_tensor(np.nan_to_num(train.batch, nan=1.0), dtype=torch.float32).clamp(min=1)
        self.steps_an_epoch = math.ceil(len(train) / config.graphs_per_step)
        self.step = 0
        self._set_rates()
        matrices = [p for name, p in model.named_parameters() if p.ndim >= 2 and name != "log_rates"]
        vectors = [p for name, p in model.named_parameters() if p.ndim < 2]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": matrices, "weight_decay": config.weight_decay, "peak": config.learning_rate},
                {"params": vectors, "weight_decay": 0.0, "peak": config.learning_rate},
                {"params": [model.log_rates], "weight_decay": 0.0, "peak": config.rate_learning_rate},
            ]
        )
        self.average = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}

    def _set_rates(self) -> None:
        totals = self.train.kernel_totals()
        if not self.model.config.kernel_rates:
            totals[:, 0] = totals.sum(axis=1)
            totals[:, 1:] = 0
        with torch.no_grad():
            for column in range(len(self.train.platforms)):
                labels = self.train.latency_ms[:, column]
                if np.isnan(labels).all():
                    continue
                rates = fit_rates(totals, labels, self.train.batch[:, column])
                self.model.log_rates[:, column] = torch.as_tensor(rates, dtype=torch.float32)

    def run_epoch(self, epoch: int) -> float:
        # Seeded by the epoch, so that a resumed run repeats the uninterrupted one.
        rng = np.random.default_rng((self.config.seed, epoch))
        torch.manual_seed(self.config.seed * 100_003 + epoch)
        self.model.train()
        losses = [self._step(rows, rng) for rows in self._batches(rng)]
        return float(np.mean(losses))

    def _batches(self, rng: np.random.Generator) -> Iterator[np.ndarray]:
        order = rng.permutation(len(self.train))
        return iter(np.array_split(order, self.steps_an_epoch))

    def _step(self, rows: np.ndarray, rng: np.random.Generator) -> float:
        batch = collate([self.train.features[row] for row in rows], [self.relations[row] for row in rows])
        batch = _hide_types(batch, self.config.token_noise, rng)
        index = torch.as_tensor(rows)
        output = self.model(batch, self.sizes[index])
        compared = output.log_ms, self.measured[index], self.known[index]
        loss = self.loss(*compared)
        if self.config.between_platforms:
            loss = loss + self.config.between_platforms * between_platforms(*compared)
        if self.config.kernel_shares:
            loss = loss + self.config.kernel_shares * kernel_share_loss(output.op_ms, self._profiled(rows))
        self._schedule()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own gap
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        self.optimizer.step()
        self.step += 1
        self._update_average()
        return float(loss.detach())

    def _profiled(self, rows: np.ndarray) -> Iterator[tuple[int, int, KernelShares]]:
        """What is known of the operations of a batch, see :func:`kernel_share_loss`."""
        start = 0
        for row in rows.tolist():
            for column in range(len(self.train.platforms)):
                if (row, column) in self.train.kernel_shares:
                    yield start, column, self.train.kernel_shares[row, column]
            start += len(self.train.features[row])

    def _schedule(self) -> None:
        total = self.steps_an_epoch * self.config.epochs
        warmup = max(self.config.warmup * total, 1)
        share = min((self.step + 1) / warmup, 1.0)
        if self.step >= warmup:
            share = 0.5 * (1 + math.cos(math.pi * (self.step - warmup) / max(total - warmup, 1)))
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * share

    @torch.no_grad()
    def _update_average(self) -> None:
        # The decay grows from zero, so that the first steps do not linger in the average.
        decay = min(self.config.average_decay, self.step / (self.step + 10))
        for name, tensor in self.model.state_dict().items():
            kept = self.average[name]
            if tensor.dtype.is_floating_point:
                kept.lerp_(tensor, 1 - decay)
            else:
                kept.copy_(tensor)

    def averaged(self) -> LatencyModel:
        """A copy of the model with the averaged weights."""
        copy = LatencyModel(self.model.config)
        copy.load_state_dict(self.average)
        return copy

    def save(self, run_dir: Path, epoch: int) -> None:
        at = {"epoch": epoch, "step": self.step}
        self._checkpoint(run_dir).save(self.model, self.optimizer, {"average": self.average}, at)

    def resume(self, run_dir: Path) -> int:
        """Load the checkpoint of ``run_dir`` if there is one; returns the epochs it has behind it."""
        at = self._checkpoint(run_dir).resume(self.model, self.optimizer, {"average": self.average})
        if at is None:
            return 0
        self.step = int(at["step"])
        return int(at["epoch"])

    def _checkpoint(self, run_dir: Path) -> Checkpoint:
        settings = [self.config.model_dump(), self.model.config.model_dump()]
        fingerprint = json.dumps([*settings, len(self.train), list(self.train.platforms)])
        return Checkpoint(run_dir / "state.safetensors", fingerprint)


def _hide_types(batch: GraphBatch, chance: float, rng: np.random.Generator) -> GraphBatch:
    if chance == 0:
        return batch
    hidden = torch.as_tensor(rng.random(len(batch.op_types)) < chance)
    return replace(batch, op_types=batch.op_types.masked_fill(hidden, 0))
