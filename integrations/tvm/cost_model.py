"""NN-Former as MetaSchedule's cost model."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tvm_ffi
from jaxtyping import Float
from tvm.s_tir.meta_schedule.cost_model import PyCostModel

from costmodel.errors import UnsupportedModelError
from costmodel.features import GraphFeatures
from costmodel.integrations.tvm.candidate import StatementGraph, candidate_features, read_candidate
from costmodel.integrations.tvm.ranker import CandidateRanker
from costmodel.integrations.tvm.records import fastest_secs
from costmodel.integrations.tvm.weights import DEFAULT_WEIGHTS

__all__ = ["NNFormerCostModel"]

logger = logging.getLogger(__name__)

_KEPT = 20_000
"""Candidates whose features are kept: a search comes back to those it mutates."""

_WORST = 0.0
"""Score of a candidate that cannot be read."""

_TvmCostModel: Any = PyCostModel._tvm_metadata["cls"]
"""The class that TVM's own ``derived_object`` derives from; derived by hand, ours can have class methods."""


class NNFormerCostModel(_TvmCostModel):  # type: ignore[misc]  # TVM has no types
    """Scores candidates by their graphs of loops, statements and accesses; learns from every batch that is measured.

    Takes the place of ``"xgb"``::

        from costmodel.integrations.tvm import NNFormerCostModel

        ms.tune_tir(..., cost_model=NNFormerCostModel.from_pretrained())

    Scores are speeds, runs a unit of time that is the same within a task: the search takes everything below zero for
    zero, and draws those to mutate in proportion to the rest.

    Args:
        ranker: The models, and what they have learned.
    """

    __slots__ = ("__dict__",)

    scores_are_speeds = True

    def __init__(self, ranker: CandidateRanker) -> None:
        # TVM's object holds on to these functions, so they belong to another object: no circle, no leak.
        scorer = _Scorer(ranker)
        self.ranker = ranker
        super().__init__(scorer.load, scorer.save, scorer.update, scorer.predict)

    @classmethod
    def from_pretrained(
        cls, name_or_path: str | Path = DEFAULT_WEIGHTS, *, frozen: bool = False, exploration: float = 0.0
    ) -> NNFormerCostModel:
        """The cost model of weights that come with the package, or of a file that :meth:`save` wrote.

        Args:
            name_or_path: Name or file.
            frozen: Whether measurements leave it as it is.
            exploration: How many standard deviations between its members a candidate is taken to be faster.

        Raises:
            UnknownNameError: There are no such weights.
            WeightsError: The file is damaged, or was trained on features of another version.
        """
        return cls(CandidateRanker.load(name_or_path, frozen=frozen, exploration=exploration))

    def load(self, path: str) -> None:
        """Go on with the models of a file.

        Raises:
            UnknownNameError: There is no such file.
            WeightsError: It cannot be used.
        """
        self.ranker.restore(path)

    def save(self, path: str) -> None:
        """Write the models to a file.

        Raises:
            WeightsError: It cannot be written.
        """
        self.ranker.save(path)


class _Scorer:
    """What TVM calls."""

    def __init__(self, ranker: CandidateRanker) -> None:
        self._ranker = ranker
        self._features: OrderedDict[int, GraphFeatures | None] = OrderedDict()

    def load(self, path: str) -> None:
        """Go on with the models of a file."""
        self._ranker.restore(path)

    def save(self, path: str) -> None:
        """Write the models to a file."""
        self._ranker.save(path)

    def update(self, context: Any, candidates: Sequence[Any], results: Sequence[Any]) -> None:
        """Learn from what was measured; candidates that failed are passed over."""
        found = zip(self._features_of(candidates), map(_run_secs, results), strict=True)
        readable = [(features, secs) for features, secs in found if features is not None]
        self._ranker.learn(_task(context), [features for features, _ in readable], [secs for _, secs in readable])

    def predict(self, context: Any, candidates: Sequence[Any]) -> Float[np.ndarray, "candidates"]:
        """Score of each candidate; TVM takes NaN without a word, so there is none."""
        scores = np.full(len(candidates), _WORST)
        features = self._features_of(candidates)
        rows = [row for row, found in enumerate(features) if found is not None]
        if rows:
            scores[rows] = self._ranker.scores([found for found in features if found is not None], _task(context))
        finite: Float[np.ndarray, "candidates"] = np.nan_to_num(scores, nan=_WORST, posinf=_WORST, neginf=_WORST)
        return finite

    def _features_of(self, candidates: Sequence[Any]) -> list[GraphFeatures | None]:
        """Features of candidates; ``None`` for one that cannot be read.  Each is read when it is first seen."""
        modules = [candidate.sch.mod for candidate in candidates]
        keys = [tvm_ffi.structural_hash(module) for module in modules]
        unknown = {key: module for key, module in zip(keys, modules, strict=True) if key not in self._features}
        graphs = {key: _read(module) for key, module in unknown.items()}
        readable = {key: graph for key, graph in graphs.items() if graph is not None}
        self._features |= dict.fromkeys(graphs) | dict(
            zip(readable, candidate_features([*readable.values()]), strict=True)
        )
        found = [self._features[key] for key in keys]
        for key in keys:
            self._features.move_to_end(key)
        while len(self._features) > _KEPT:
            self._features.popitem(last=False)
        return found


def _read(module: Any) -> StatementGraph | None:
    """A candidate; ``None``, and a warning, if there is nothing to score."""
    try:
        graph = read_candidate(module)
    except UnsupportedModelError as error:
        logger.warning("a candidate cannot be scored: %s", error)
        return None
    if not graph.statements:
        logger.warning("a candidate cannot be scored: it has no statement that stores anything.")
        return None
    return graph


def _task(context: Any) -> str:
    """What the ranker knows a task by."""
    return f"{context.task_name}-{tvm_ffi.structural_hash(context.mod) & 0xFFFFFFFF:08x}"


def _run_secs(result: Any) -> float:
    """How long a candidate took; infinity if it failed."""
    secs = float("inf") if result.error_msg is not None else fastest_secs(result)
    return secs if secs > 0 else float("inf")
