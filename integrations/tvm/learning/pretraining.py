"""Trains the members of a cost model one after the other; a run that is killed goes on with the next member."""

from __future__ import annotations

import copy
import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from costmodel.errors import DataError, UsageError, WeightsError
from costmodel.integrations.tvm.learning.fitting import CandidateFitConfig, fit_candidates
from costmodel.integrations.tvm.model import CandidateModel, CandidateModelConfig
from costmodel.integrations.tvm.records import TaskRecords
from costmodel.integrations.tvm.weights import load_weights, save_weights
from costmodel.pretrained.members import fingerprint_of

__all__ = ["TrainedMembers", "train_members", "usable_tasks"]

logger = logging.getLogger(__name__)

_LAST_STEPS = 100
"""Steps that the final loss is the mean of: each sees a few candidates only."""


@dataclass(frozen=True)
class TrainedMembers:
    """What training came to.

    Attributes:
        members: The models.
        seeds: Of each.
        final_losses: Mean loss of the last steps of each.
    """

    members: tuple[CandidateModel, ...]
    seeds: tuple[int, ...]
    final_losses: tuple[float, ...]


def train_members(
    tasks: Sequence[TaskRecords],
    shape: CandidateModelConfig,
    config: CandidateFitConfig,
    *,
    members: int = 3,
    start_from: Sequence[CandidateModel] = (),
    checkpoint: Path | None = None,
    on_step: Callable[[int, int, float], None] | None = None,
) -> TrainedMembers:
    """Train models that differ in their seed, ``config.seed`` and those that follow.

    Args:
        tasks: What to learn from; see :func:`usable_tasks`.
        shape: Of each member.
        config: How to train each.
        members: How many.
        start_from: Models to start from, in turn; none to start from chance.
        checkpoint: Where finished members are kept.  Those of a run with the same settings, started again, are not
            trained again; whoever has saved the result removes the file.
        on_step: Called after each step with the number of the member, from 0, that of the step, from 1, and the loss.

    Raises:
        UsageError: There are no members, or those to start from have another shape.
        DataError: There are no tasks, or one with fewer than two candidates.
        WeightsError: The checkpoint cannot be written.
    """
    if members < 1:
        raise UsageError(f"expected at least one member to train, got {members}.")
    if any(model.config != shape for model in start_from):
        raise UsageError("the models to start from have another shape than the members; train members of their shape.")
    if not tasks or len(usable_tasks(tasks)) < len(tasks):
        sizes = ", ".join(f"{task.name} {len(task)}" for task in tasks) or "no task"
        raise DataError(f"expected tasks of two candidates or more to learn their order, got {sizes}.")
    kept = None if checkpoint is None else _Checkpoint(checkpoint, _settings(tasks, shape, config, start_from))
    done, losses = kept.read() if kept else ([], [])
    done, losses = done[:members], losses[:members]
    seeds = tuple(config.seed + index for index in range(members))
    for index in range(len(done), members):
        of_member = config.model_copy(update={"seed": seeds[index]})
        trained, loss = _trained(index, tasks, shape, of_member, start_from, on_step)
        done.append(trained)
        losses.append(loss)
        if kept:
            kept.write(done, losses)
    return TrainedMembers(tuple(done), seeds, tuple(losses))


def usable_tasks(tasks: Iterable[TaskRecords]) -> list[TaskRecords]:
    """The tasks with two candidates or more: one alone has no order."""
    return [task for task in tasks if len(task) > 1]


def _trained(
    index: int,
    tasks: Sequence[TaskRecords],
    shape: CandidateModelConfig,
    config: CandidateFitConfig,
    start_from: Sequence[CandidateModel],
    on_step: Callable[[int, int, float], None] | None,
) -> tuple[CandidateModel, float]:
    losses: list[float] = []

    def note(step: int, loss: float) -> None:
        losses.append(loss)
        if on_step is not None:
            on_step(index, step, loss)

    torch.manual_seed(config.seed)
    model = copy.deepcopy(start_from[index % len(start_from)]) if start_from else CandidateModel(shape)
    trained = fit_candidates(model, tasks, config, note)
    return trained, float(np.mean(losses[-_LAST_STEPS:]))


class _Checkpoint:
    """The members that are finished, with the settings of their run.

    Args:
        path: The file; it need not exist.
        settings: Of this run; what JSON can hold.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self._path = path
        self._settings = settings

    def read(self) -> tuple[list[CandidateModel], list[float]]:
        """Finished members and their losses; none, and a warning, if the file is of another run or damaged."""
        if not self._path.exists():
            return [], []
        try:
            members, about = load_weights(self._path)
            settings, losses = about.provenance["settings"], about.provenance["final_losses"]
        except (WeightsError, KeyError) as error:
            logger.warning("%s cannot be gone on from: %s; training starts anew.", self._path, error)
            return [], []
        differing = [name for name, value in self._settings.items() if settings.get(name) != value]
        if differing:
            logger.warning(
                "an earlier run to the same file was stopped, which had other settings (%s); training starts anew.",
                ", ".join(differing),
            )
            return [], []
        logger.info("members finished in an earlier run: %d", len(members))
        return list(members), list(losses)

    def write(self, members: Sequence[CandidateModel], losses: Sequence[float]) -> None:
        save_weights(members, self._path, {"settings": dict(self._settings), "final_losses": list(losses)})


def _settings(
    tasks: Sequence[TaskRecords],
    shape: CandidateModelConfig,
    config: CandidateFitConfig,
    start_from: Sequence[CandidateModel],
) -> dict[str, Any]:
    """What decides how a member turns out; how many there are does not."""
    return {
        **config.model_dump(mode="json"),
        "shape": shape.model_dump(mode="json"),
        "records": _hash_of_records(tasks),
        "start_from": fingerprint_of(start_from),
    }


def _hash_of_records(tasks: Sequence[TaskRecords]) -> str:
    digest = hashlib.sha256()
    for task in tasks:
        digest.update(f"{task.name}\n".encode())
        digest.update(task.run_secs.tobytes())
        for candidate in task.candidates:
            digest.update(candidate.tokens.tobytes())
            digest.update(candidate.edges.tobytes())
    return digest.hexdigest()
