"""Puts candidates of a task in order, better with every one that was measured; knows nothing of TVM's search."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from costmodel.errors import UsageError
from costmodel.features import GraphFeatures
from costmodel.integrations.tvm.candidate import NodeType
from costmodel.integrations.tvm.learning import CandidateFitConfig, fit_candidates
from costmodel.integrations.tvm.learning.fitting import describe_candidates
from costmodel.integrations.tvm.learning.residuals import Residuals
from costmodel.integrations.tvm.model import CandidateModel
from costmodel.integrations.tvm.records import TaskRecords
from costmodel.integrations.tvm.weights import load_weights, save_weights

__all__ = ["CandidateRanker"]

_REFINED_FROM = 64
"""Measured candidates; with fewer, the models stay as they are, and only what they were off by is learned."""

_REFINED_AGAIN = 1.25
"""Times as many measured candidates: in long tunings, models that were fitted after every batch would take most of the
time, and hardly be better for it."""

_MOST_STEPS = 100
_RATE = 1e-3
_AVERAGE_DECAY = 0.9


class CandidateRanker:
    """Several models whose mean says how long a candidate takes, and whose disagreement how sure that is.

    What is measured is kept by task.  After each batch a Gaussian process learns from all measurements of the task what
    the models were off by, see :class:`~costmodel.integrations.tvm.learning.residuals.Residuals`.  With 64
    measurements, and whenever there are a quarter more, the models themselves are fitted to all that was measured too,
    from where training left them.

    Args:
        members: The models; left as they are.
        frozen: Whether measurements change nothing.
        exploration: How many standard deviations a candidate is taken to be faster than predicted: between members,
            and of what measurements leave open.
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
        self._residuals: dict[str, Residuals] = {}
        self._refine_at = _REFINED_FROM

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
        self._refine_at = _REFINED_FROM
        self.provenance = about.provenance
        self._residuals = {name: self._residuals_of(self._measured[name]) for name in self._residuals}

    @property
    def members(self) -> tuple[CandidateModel, ...]:
        """The models as the last measurements left them."""
        return self._members

    @property
    def tasks(self) -> tuple[str, ...]:
        """Tasks that measurements were learned from."""
        return tuple(self._measured)

    def measured(self, task: str) -> int:
        """How many candidates of a task were learned from."""
        return len(self._measured[task]) if task in self._measured else 0

    def log_times(
        self, candidates: Sequence[GraphFeatures], task: str | None = None
    ) -> Float[np.ndarray, "members candidates"]:
        """What each model says: natural logarithms of times that mean something relative to each other only.

        Args:
            candidates: Of one task.
            task: Which, as for :meth:`learn`; what the models were off by on its measured candidates is taken off.
        """
        return self._predicted(candidates, task)[0]

    def scores(self, candidates: Sequence[GraphFeatures], task: str | None = None) -> Float[np.ndarray, "candidates"]:
        """The higher, the sooner to be measured: runs a unit of time, the exploration bonus included.

        Args:
            candidates: As for :meth:`log_times`.
            task: Likewise.
        """
        log_times, open_variance = self._predicted(candidates, task)
        disagreement = log_times.var(axis=0, ddof=1) if len(log_times) > 1 else 0.0
        deviation = np.sqrt(disagreement + open_variance)
        scores: Float[np.ndarray, "candidates"] = np.exp(self.exploration * deviation - log_times.mean(axis=0))
        return scores

    def _predicted(
        self, candidates: Sequence[GraphFeatures], task: str | None
    ) -> tuple[Float[np.ndarray, "members candidates"], Float[np.ndarray, "candidates"]]:
        """Log times, and the variance that the measurements leave open."""
        log_times, embeddings = describe_candidates(self._members, candidates)
        residuals = self._residuals.get(task) if task is not None else None
        if residuals is None or not len(candidates):
            return log_times, np.zeros(len(candidates))
        off, deviation = residuals.predict(_points(embeddings, candidates), log_times.mean(axis=0))
        return log_times + off, deviation**2

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
        if self.frozen:
            return
        known = [task for task in self._measured.values() if len(task) > 1]
        total = sum(map(len, known))
        if total >= self._refine_at:
            self._refine_at = math.ceil(total * _REFINED_AGAIN)
            self._members = tuple(_refined(member, known) for member in self._trained)
        else:
            known = [found for found in known if found.name == task]
        self._residuals |= {found.name: self._residuals_of(found) for found in known}

    def _residuals_of(self, task: TaskRecords) -> Residuals:
        log_times, embeddings = describe_candidates(self._members, task.candidates)
        return Residuals(_points(embeddings, task.candidates), log_times.mean(axis=0), np.log(task.run_secs))


def _refined(member: CandidateModel, tasks: Sequence[TaskRecords]) -> CandidateModel:
    """A copy that learned from the tasks."""
    config = CandidateFitConfig(
        steps=_MOST_STEPS,
        candidates_a_task=32,
        learning_rate=_RATE,
        rate_learning_rate=_RATE,
        average_decay=_AVERAGE_DECAY,
    )
    return fit_candidates(copy.deepcopy(member), tasks, config)


def _points(
    embeddings: Float[np.ndarray, "candidates embedding"], candidates: Sequence[GraphFeatures]
) -> Float[np.ndarray, "candidates columns"]:
    """What tells candidates apart: the models' embeddings, and plain features of statements and of accesses."""
    plain = []
    for found in candidates:
        statements = found.tokens[found.op_types == NodeType.STATEMENT]
        accesses = found.tokens[found.op_types > NodeType.STATEMENT]
        plain.append(np.concatenate([statements.sum(axis=0), statements.max(axis=0), accesses.sum(axis=0)]))
    return np.concatenate([embeddings, np.array(plain, dtype=np.float64)], axis=1)
