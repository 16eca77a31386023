"""What a search asks of an architecture."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from costmodel.accuracy_predictor import AccuracyPredictor
from costmodel.predictor import Predictor
from costmodel.search.front import Candidate
from costmodel.spaces import SearchSpace

__all__ = ["Objectives", "PredictedObjectives"]


class Objectives(ABC):
    """Accuracy and latency of architectures of a space."""

    space: SearchSpace

    @abstractmethod
    def of(self, archs: Sequence[str]) -> list[Candidate]:
        """Both objectives of each architecture, in order."""

    @property
    @abstractmethod
    def identity(self) -> Mapping[str, str]:
        """What they are predicted by: a search that goes on must go on with the same."""


class PredictedObjectives(Objectives):
    """Objectives that nothing is trained or measured for.

    Args:
        accuracy: Predicts accuracies; its search space is the one that is searched.
        latency: Predicts latencies.
        platform: Name, alias or glob of one of its platforms.
        batch: Images a run.

    Raises:
        UnknownNameError: No platform goes by that name.
    """

    def __init__(self, accuracy: AccuracyPredictor, latency: Predictor, platform: str, batch: int = 1) -> None:
        self.space = accuracy.space
        self.platform = latency.platforms.find(platform).name
        self._accuracy = accuracy
        self._latency = latency
        self._batch = batch

    def of(self, archs: Sequence[str]) -> list[Candidate]:
        """See :meth:`Objectives.of`.

        Raises:
            UsageError: A text is no architecture of the space.
        """
        graphs = (self.space.op_graph(arch, batch=self._batch) for arch in archs)
        predictions = self._latency.predict_many(graphs, [self.platform])
        return [
            Candidate(arch, float(percent), prediction.latency_ms)
            for arch, percent, prediction in zip(archs, self._accuracy.predict(archs), predictions, strict=True)
        ]

    @property
    def identity(self) -> Mapping[str, str]:
        """See :attr:`Objectives.identity`."""
        return {
            "space": self.space.name,
            "accuracy": self._accuracy.fingerprint,
            "latency": self._latency.bundle.fingerprint,
            "platform": self.platform,
            "batch": str(self._batch),
        }
