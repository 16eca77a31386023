"""A network and how long it took on the new device."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from costmodel.data.timm_benchmark import architecture_family
from costmodel.errors import DataError, UnsupportedModelError
from costmodel.features import GraphFeatures, build_features
from costmodel.graph import load_graph

__all__ = ["Measurement"]


@dataclass(frozen=True)
class Measurement:
    """One measured latency.

    Attributes:
        name: What reports call the network.
        family: Networks of a family resemble each other; reports sum up errors by it.
        features: The network.
        batch: Images a run.
        latency_ms: Milliseconds a run.
    """

    name: str
    family: str
    features: GraphFeatures
    batch: int
    latency_ms: float

    def __post_init__(self) -> None:
        if not 0 < self.latency_ms < float("inf"):
            raise DataError(f"{self.name}: expected a latency above 0 ms, got {self.latency_ms}.")
        if self.batch < 1:
            raise DataError(f"{self.name}: expected a batch of at least 1, got {self.batch}.")

    @classmethod
    def of_model(
        cls, model: Any, latency_ms: float, *, batch: int | None = None, name: str | None = None
    ) -> Measurement:
        """The measurement of a model.

        Args:
            model: Anything :meth:`costmodel.Predictor.predict` takes; weights are not needed.
            latency_ms: Milliseconds a run.
            batch: Images a run; by default the model's own.
            name: By default the name of the file.  The family is its beginning, up to a character that is no letter.

        Raises:
            UnsupportedModelError: The model cannot be read, or holds nothing that takes time.
            DataError: The latency or the batch is not positive.
        """
        graph = load_graph(model, batch=batch)
        name = name or (Path(model).stem if isinstance(model, str | Path) else graph.name) or "network"
        features = build_features(graph)
        if len(features) == 0:
            raise UnsupportedModelError(f"{name}: nothing in it takes time; expected a network that computes.")
        return cls(name, architecture_family(name.lower()), features, batch or graph.batch, latency_ms)
