"""Trains a :class:`CandidateModel` on measured candidates of many tasks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from costmodel.features import GraphFeatures
from costmodel.features.graph_batch import GraphBatch, collate
from costmodel.features.relations import Relations
from costmodel.integrations.tvm.learning.losses import centred_huber, ranking_loss
from costmodel.integrations.tvm.model import CandidateModel
from costmodel.integrations.tvm.records import TaskRecords

__all__ = ["CandidateFitConfig", "describe_candidates", "fit_candidates", "predict_log_times"]

_CANDIDATES_A_FORWARD = 64
"""More at a time overflow the processor's caches."""


class CandidateFitConfig(BaseModel):
    """How to train.

    Attributes:
        steps: Gradient steps.
        tasks_a_step: Tasks that candidates of a step come from.
        candidates_a_task: Candidates of each of them.
        learning_rate: Peak rate, after a linear warm-up and before a cosine decay to zero.
        rate_learning_rate: Likewise, of the physical rates.
        weight_decay: AdamW's.
        warmup: Share of the steps spent warming up.
        clip_norm: Gradients are scaled down to this norm.
        average_decay: Decay of the exponential moving average of the weights that is kept.
        seed: Of what is drawn.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(default=2400, ge=1)
    tasks_a_step: int = Field(default=4, ge=1)
    candidates_a_task: int = Field(default=24, ge=2)
    learning_rate: float = Field(default=3e-3, gt=0)
    rate_learning_rate: float = Field(default=1e-2, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    warmup: float = Field(default=0.05, ge=0, lt=1)
    clip_norm: float = Field(default=1.0, gt=0)
    average_decay: float = Field(default=0.998, ge=0, lt=1)
    seed: int = 0


@contextmanager
def _alone() -> Iterator[None]:
    """One thread, and random numbers of its own.

    Graphs of candidates are small: more threads would wait for each other, for minutes where something else keeps the
    cores busy.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_num_threads(threads)


@_alone()
def fit_candidates(
    model: CandidateModel,
    tasks: Sequence[TaskRecords],
    config: CandidateFitConfig,
    on_step: Callable[[int, float], None] | None = None,
) -> CandidateModel:
    """Train ``model`` in place and return it, holding the averaged weights.

    Args:
        model: Where to start from; parameters that ask for no gradient stay as they are.
        tasks: What to learn from; each with at least two candidates.
        config: How.
        on_step: Called after each step with its number, from 1, and its loss.
    """
    examples = [_Examples.of(task) for task in tasks]
    chances = np.sqrt([len(task) for task in tasks])
    chances /= chances.sum()
    rng = np.random.default_rng(config.seed)
    torch.manual_seed(config.seed)
    optimizer = _optimizer(model, config)
    average = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    model.train()
    for step in range(config.steps):
        chosen = rng.choice(len(tasks), min(config.tasks_a_step, len(tasks)), replace=False, p=chances)
        batch, measured, task = _step_batch([examples[index] for index in chosen], config.candidates_a_task, rng)
        log_time = model(batch)
        loss = ranking_loss(log_time, measured, task) + centred_huber(log_time, measured, task)
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * _schedule(step, config)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own gap
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
        optimizer.step()
        # The decay grows from zero, so that the first steps do not linger in the average.
        decay = min(config.average_decay, step / (step + 10))
        for name, tensor in model.state_dict().items():
            average[name].lerp_(tensor, 1 - decay)
        if on_step is not None:
            on_step(step + 1, float(loss.detach()))
    model.load_state_dict(average)
    return model.eval()


def predict_log_times(
    members: Sequence[CandidateModel], candidates: Sequence[GraphFeatures]
) -> Float[np.ndarray, "members candidates"]:
    """Natural logarithms of times, which mean something relative to those of the same task only."""
    return describe_candidates(members, candidates)[0]


@torch.no_grad()
@_alone()
def describe_candidates(
    members: Sequence[CandidateModel], candidates: Sequence[GraphFeatures]
) -> tuple[Float[np.ndarray, "members candidates"], Float[np.ndarray, "candidates columns"]]:
    """What :func:`predict_log_times` says, and the members' embeddings of each candidate side by side."""
    for member in members:
        member.eval()
    log_times = [np.zeros((len(members), 0))]
    embeddings = [np.zeros((0, sum(2 * member.config.trunk.dim for member in members)))]
    for start in range(0, len(candidates), _CANDIDATES_A_FORWARD):
        batch = collate(candidates[start : start + _CANDIDATES_A_FORWARD])
        described = [member.described(batch) for member in members]
        log_times.append(np.stack([log_time.numpy() for log_time, _ in described]).astype(np.float64))
        embeddings.append(np.concatenate([embedding.numpy() for _, embedding in described], axis=1))
    return np.concatenate(log_times, axis=1), np.concatenate(embeddings).astype(np.float64)


@dataclass(frozen=True)
class _Examples:
    """Candidates of a task with what costs time to work out, kept from step to step."""

    candidates: Sequence[GraphFeatures]
    relations: Sequence[Relations]
    log_ms: Float[np.ndarray, "candidates"]

    @classmethod
    def of(cls, task: TaskRecords) -> _Examples:
        relations = [Relations.from_edges(found.edges, len(found)) for found in task.candidates]
        return cls(task.candidates, relations, np.log(task.run_secs * 1e3))


def _step_batch(
    examples: Sequence[_Examples], count: int, rng: np.random.Generator
) -> tuple[GraphBatch, Tensor, Tensor]:
    """Some candidates of each task, their measured log times, and the number of the task of each."""
    candidates: list[GraphFeatures] = []
    relations: list[Relations] = []
    measured: list[float] = []
    task: list[int] = []
    for number, of_task in enumerate(examples):
        rows = rng.choice(len(of_task.candidates), min(count, len(of_task.candidates)), replace=False)
        candidates += [of_task.candidates[row] for row in rows]
        relations += [of_task.relations[row] for row in rows]
        measured += [of_task.log_ms[row] for row in rows]
        task += [number] * len(rows)
    return collate(candidates, relations), torch.tensor(measured, dtype=torch.float32), torch.tensor(task)


def _optimizer(model: CandidateModel, config: CandidateFitConfig) -> torch.optim.Optimizer:
    rates = {"params": [model.log_rates], "peak": config.rate_learning_rate, "weight_decay": 0.0}
    others = [
        parameter for name, parameter in model.named_parameters() if name != "log_rates" and parameter.requires_grad
    ]
    return torch.optim.AdamW(
        [{"params": others, "peak": config.learning_rate, "weight_decay": config.weight_decay}, rates]
    )


def _schedule(step: int, config: CandidateFitConfig) -> float:
    warmup = max(config.warmup * config.steps, 1)
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(config.steps - warmup, 1)))
