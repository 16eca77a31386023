"""Puts candidates of a task in order, better with every one that was measured; knows nothing of TVM's search."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from costmodel.errors import UsageError
from costmodel.features import GraphFeatures
from costmodel.integrations.tvm.learning import CandidateFitConfig, fit_candidates, predict_log_times
from costmodel.integrations.tvm.model import CandidateModel
from costmodel.integrations.tvm.records import TaskRecords
from costmodel.integrations.tvm.weights import load_weights, save_weights

__all__ = ["CandidateRanker"]

_HEAD_ONLY_BELOW = 64
"""Measured candidates; with fewer, the head alone is fitted to them."""

_MOST_STEPS = 100
_HEAD_RATE, _TRUNK_RATE = 1e-2, 1e-3
_AVERAGE_DECAY = 0.9


class CandidateRanker:
    """Several models whose mean says how long a candidate takes, and whose disagreement how sure that is.

    What is measured is kept by task.  After each batch of measurements every model is fitted again, from where training
    left it, to all that was measured: its head while there is little, then its trunk too.

    Args:
        members: The models; left as they are.
        frozen: Whether measurements change nothing.
        exploration: How many standard deviations between members a candidate is taken to be faster than their mean.
        provenance: Where the models come from; kept when they are saved.

    Raises:
        UsageError: There is no model, or the exploration is below 0.
    """

    def __init__(
        self,
        members: Sequence[CandidateModel],
        *,
        frozen: bool = False,
        exploration: float = 0.0,
        provenance: dict[str, Any] | None = None,
    ) -> None:
        if not members:
            raise UsageError("expected at least one model to put candidates in order with, got none.")
        if exploration < 0:
            raise UsageError(f"expected an exploration of at least 0, got {exploration}.")
        self.frozen = frozen
        self.exploration = exploration
        self.provenance = provenance or {}
        self._trained = tuple(members)
        self._members = self._trained
        self._measured: dict[str, TaskRecords] = {}

    @classmethod
    def load(cls, name_or_path: str | Path, *, frozen: bool = False, exploration: float = 0.0) -> CandidateRanker:
        """The models of a file, see :func:`costmodel.integrations.tvm.weights.load_weights`.

        Raises:
            UnknownNameError: There is no such file.
            WeightsError: It cannot be used.
        """
        members, about = load_weights(name_or_path)
        return cls(members, frozen=frozen, exploration=exploration, provenance=about.provenance)

    def save(self, path: str | Path) -> None:
        """Write the models, as the last measurements left them, to a file.

        Raises:
            WeightsError: It cannot be written.
        """
        save_weights(self._members, path, self.provenance)

    def restore(self, name_or_path: str | Path) -> None:
        """Go on with the models of a file, and with what was measured so far.

        Raises:
            UnknownNameError: There is no such file.
            WeightsError: It cannot be used.
        """
        members, about = load_weights(name_or_path)
        self._trained = self._members = members
        self.provenance = about.provenance

    @property
    def members(self) -> tuple[CandidateModel, ...]:
        """The models as the last measurements left them."""
        return self._members

    def measured(self, task: str) -> int:
        """How many candidates of a task were learned from."""
        return len(self._measured[task]) if task in self._measured else 0

    def log_times(self, candidates: Sequence[GraphFeatures]) -> Float[np.ndarray, "members candidates"]:
        """What each model says: natural logarithms of times that mean something relative to each other only."""
        return predict_log_times(self._members, candidates)

    def scores(self, candidates: Sequence[GraphFeatures]) -> Float[np.ndarray, "candidates"]:
        """The higher, the sooner to be measured: runs a unit of time, the exploration bonus included."""
        log_times = self.log_times(candidates)
        scores: Float[np.ndarray, "candidates"] = np.exp(
            self.exploration * log_times.std(axis=0) - log_times.mean(axis=0)
        )
        return scores

    def learn(self, task: str, candidates: Sequence[GraphFeatures], run_secs: Sequence[float]) -> None:
        """Take measurements in.

        Args:
            task: What they belong to; only times of one task are compared.
            candidates: What was measured.
            run_secs: How long each took, seconds; those that are not positive and finite are passed over.
        """
        usable = [index for index, secs in enumerate(run_secs) if 0 < secs < float("inf")]
        if not usable:
            return
        times = np.array([run_secs[index] for index in usable], dtype=np.float64)
        fresh = TaskRecords(task, task, tuple(candidates[index] for index in usable), times)
        self._measured[task] = self._measured[task].joined(fresh) if task in self._measured else fresh
        if not self.frozen:
            self._members = tuple(self._refined(member) for member in self._trained)

    def _refined(self, member: CandidateModel) -> CandidateModel:
        tasks = [task for task in self._measured.values() if len(task) > 1]
        if not tasks:
            return member
        count = sum(map(len, tasks))
        only_head = count < _HEAD_ONLY_BELOW
        refined = copy.deepcopy(member)
        for parameter in refined.trunk.parameters():
            parameter.requires_grad_(not only_head)
        rate = _HEAD_RATE if only_head else _TRUNK_RATE
        config = CandidateFitConfig(
            steps=min(_MOST_STEPS, 2 * count),
            candidates_a_task=32,
            learning_rate=rate,
            rate_learning_rate=rate,
            average_decay=_AVERAGE_DECAY,
        )
        return fit_candidates(refined, tasks, config)
