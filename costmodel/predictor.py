"""From networks to latencies: the class most users ever import."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias, TypedDict, TypeVar, Union, Unpack, overload

import numpy as np
from jaxtyping import Bool
from numpy.typing import NDArray

from costmodel.errors import CostModelError, UnknownNameError, UnsupportedModelError
from costmodel.features import GraphFeatures, build_features
from costmodel.graph import OpCost, OpGraph, load_graph, op_costs
from costmodel.platforms import PlatformRegistry
from costmodel.prediction import OpPrediction, Prediction, PredictionFailure
from costmodel.pretrained import (
    Adapter,
    Bundle,
    RawPrediction,
    find_platform_folder,
    load_adapter,
    load_bundle,
    save_bundle,
    saved_platforms,
)
from costmodel.units import format_percent

if TYPE_CHECKING:
    import onnx
    import torch

__all__ = ["Model", "Predictor"]

Model: TypeAlias = Union[
    str, Path, bytes, "onnx.ModelProto", "torch.nn.Module", "torch.export.ExportedProgram", OpGraph
]
"""Anything :func:`costmodel.graph.load_graph` reads: a file, its bytes, or a network in memory."""

Shapes: TypeAlias = Mapping[str, tuple[int, ...]]
"""Concrete shapes of inputs, by name."""

_Item = TypeVar("_Item")
_Many: TypeAlias = list[_Item] | tuple[_Item, ...]


class _Reading(TypedDict, total=False):
    """How a model is read; see :meth:`Predictor.predict`."""

    shapes: Shapes | None
    batch: int | None
    example_inputs: tuple[Any, ...] | None


class Predictor:
    """Predicts the latency of networks on the platforms its weights were trained for.

    Args:
        bundle: Trained weights with all that belongs to them; see :meth:`from_pretrained`.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._platforms = PlatformRegistry(bundle.platforms)

    def __repr__(self) -> str:
        return f"Predictor({len(self._platforms)} platforms)"

    @classmethod
    def from_pretrained(cls, name_or_dir: str | Path = "nnformer-base") -> Self:
        """Load weights.

        Args:
            name_or_dir: Name of weights that come with the package, or a folder made by :meth:`save_pretrained`.

        Raises:
            UnknownNameError: There are no such weights.
            WeightsError: The weights are damaged or made for other features.
        """
        return cls(load_bundle(name_or_dir))

    def save_pretrained(self, directory: str | Path) -> None:
        """Write the weights to a folder that :meth:`from_pretrained` reads."""
        save_bundle(self._bundle, directory)

    @property
    def bundle(self) -> Bundle:
        """The weights it predicts with."""
        return self._bundle

    @property
    def platforms(self) -> PlatformRegistry:
        """The platforms there are predictions for."""
        return self._platforms

    def with_platform(self, platform: Adapter | str | Path) -> Self:
        """A predictor that knows one platform more; this one stays as it is.

        Args:
            platform: What :func:`costmodel.calibration.calibrate` made, the folder it was saved to, or the name it
                is kept under.

        Raises:
            UnknownNameError: No platform is kept there.
            WeightsError: It is damaged, or was calibrated on other weights.
            DataError: A platform of that name was there from the start.
        """
        return type(self)(self._bundle.with_adapter(platform if isinstance(platform, Adapter) else _saved(platform)))

    @overload
    def predict(self, model: Model, platform: str, **reading: Unpack[_Reading]) -> Prediction: ...
    @overload
    def predict(
        self, model: Model, platform: _Many[str] | None = None, **reading: Unpack[_Reading]
    ) -> list[Prediction]: ...
    @overload
    def predict(
        self, model: _Many[Any], platform: str | _Many[str] | None = None, **reading: Unpack[_Reading]
    ) -> list[Prediction]: ...
    def predict(
        self,
        model: Model | _Many[Any],
        platform: str | _Many[str] | None = None,
        *,
        shapes: Shapes | None = None,
        batch: int | None = None,
        example_inputs: tuple[Any, ...] | None = None,
    ) -> Prediction | list[Prediction]:
        """Predict the latency of a network, or of several, on a platform, or on several.

        Args:
            model: A path, the bytes of a file, an ONNX or torch model, an :class:`OpGraph`; or a list of those.
            platform: A name, an alias or a glob that stands for one platform; or a list of those, where a
                glob may stand for several.  ``None`` means every platform.
            shapes: Shapes of inputs that the model leaves open, by input name.
            batch: Images per run; ``None`` leaves it to the model.
            example_inputs: Positional arguments of a torch module, which torch models need.

        Returns:
            One prediction when both arguments are single, else a list: every platform of the first model,
            then every platform of the second, and so on.

        Raises:
            UnknownNameError: No platform goes by that name.
            UsageError: One platform was expected and the name stands for several.
            UnsupportedModelError: A model cannot be read, or holds nothing that takes time.
        """
        predictions = self.predict_many(
            model if isinstance(model, list | tuple) else [model],
            [self._platforms.find(platform).name] if isinstance(platform, str) else platform,
            shapes=shapes,
            batch=batch,
            example_inputs=example_inputs,
        )
        if isinstance(model, list | tuple) or not isinstance(platform, str):
            return predictions
        return predictions[0]

    @overload
    def predict_many(
        self,
        models: Iterable[Any],
        platforms: Sequence[str] | None = None,
        *,
        on_error: Literal["raise"] = "raise",
        **reading: Unpack[_Reading],
    ) -> list[Prediction]: ...
    @overload
    def predict_many(
        self,
        models: Iterable[Any],
        platforms: Sequence[str] | None = None,
        *,
        on_error: Literal["collect"],
        **reading: Unpack[_Reading],
    ) -> list[Prediction | PredictionFailure]: ...
    def predict_many(
        self,
        models: Iterable[Any],
        platforms: Sequence[str] | None = None,
        *,
        on_error: Literal["raise", "collect"] = "raise",
        shapes: Shapes | None = None,
        batch: int | None = None,
        example_inputs: tuple[Any, ...] | None = None,
    ) -> list[Prediction] | list[Prediction | PredictionFailure]:
        """Predict every model on every platform, all models in one forward pass.

        Args:
            models: What :meth:`predict` takes, several of them; each is read as it is taken.
            platforms: Names, aliases or globs; ``None`` means every platform.
            shapes: As in :meth:`predict`, for every model.
            batch: As in :meth:`predict`, for every model.
            example_inputs: As in :meth:`predict`, for every model.
            on_error: ``"raise"`` stops at the first model that fails; ``"collect"`` puts a
                :class:`PredictionFailure` in the place of each of its predictions and goes on.

        Returns:
            Outcomes in model-major order.
        """
        patterns = list(self._platforms) if platforms is None else platforms
        names = [found.name for pattern in patterns for found in self._platforms.resolve(pattern)]
        outcomes = self._outcomes([_read(model, shapes, batch, example_inputs) for model in models], names)
        if on_error == "raise":
            for outcome in outcomes:
                if isinstance(outcome, PredictionFailure):
                    raise outcome.error
        return outcomes

    def _outcomes(
        self, networks: Sequence[_Network | _Unreadable], names: Sequence[str]
    ) -> list[Prediction | PredictionFailure]:
        """Outcomes in model-major order."""
        answers = iter(self._forward([network for network in networks if isinstance(network, _Network)], names))
        outcomes: list[Prediction | PredictionFailure] = []
        for network in networks:
            if isinstance(network, _Network):
                outcomes += _answered(network, names, next(answers), self._bundle.seen_op_types)
            else:
                outcomes += [PredictionFailure(network.label, name, network.batch, network.error) for name in names]
        return outcomes

    def _forward(self, networks: Sequence[_Network], names: Sequence[str]) -> Sequence[Sequence[RawPrediction]]:
        if not networks or not names:
            return [[] for _ in networks]
        return self._bundle.predict(
            [network.features for network in networks],
            names,
            [network.graph.batch for network in networks],
        )


def _saved(name_or_dir: str | Path) -> Adapter:
    folder = find_platform_folder(name_or_dir)
    if folder is None:
        kept = [platform.name for platform in saved_platforms()]
        raise UnknownNameError("saved platform", str(name_or_dir), kept, "Make one with: costmodel calibrate")
    return load_adapter(folder)


@dataclass(frozen=True)
class _Network:
    """A model that was read, and what the answer needs to know of it."""

    label: str
    graph: OpGraph
    costs: tuple[OpCost, ...]
    features: GraphFeatures


@dataclass(frozen=True)
class _Unreadable:
    """A model that could not be read."""

    label: str
    batch: int | None
    error: CostModelError


def _label(model: object) -> str:
    """What the answer calls a model: its path as given, else its own name, else its class."""
    if isinstance(model, str | Path):
        return str(model)
    if isinstance(model, bytes):
        return "<bytes>"
    graph = getattr(model, "graph", model)  # an ONNX model keeps its name one level down
    name = getattr(graph, "name", None)
    return name if isinstance(name, str) and name else type(model).__name__


def _read(
    model: Model,
    shapes: Shapes | None,
    batch: int | None,
    example_inputs: tuple[Any, ...] | None,
) -> _Network | _Unreadable:
    label = _label(model)
    try:
        graph = load_graph(model, shapes=shapes, batch=batch, example_inputs=example_inputs)
    except CostModelError as error:
        return _Unreadable(label, batch, error)
    costs = op_costs(graph)
    features = build_features(graph, costs)
    if len(features) == 0:
        return _Unreadable(label, batch, _nothing_to_predict(label, graph))
    return _Network(label, graph, costs, features)


def _nothing_to_predict(label: str, graph: OpGraph) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"{label}: nothing to predict. The network has {len(graph)} operations and none of them computes or moves "
        f"anything; expected at least one that does. See what was read with: costmodel inspect {label}"
    )


def _answered(
    network: _Network, platforms: Sequence[str], raws: Sequence[RawPrediction], seen_op_types: frozenset[int]
) -> Iterator[Prediction | PredictionFailure]:
    """An outcome for each platform; what depends on the network alone is found out once."""
    seen = np.isin(network.features.op_types, list(seen_op_types))
    warnings = (*_unseen_warnings(network, seen), *_shape_warnings(network.graph))
    for platform, raw in zip(platforms, raws, strict=True):
        if _is_positive(raw):
            yield _prediction(network, platform, raw, seen, warnings)
        else:
            yield PredictionFailure(network.label, platform, network.graph.batch, _out_of_bounds(network.label, raw))


def _prediction(
    network: _Network, platform: str, raw: RawPrediction, seen: Bool[np.ndarray, "nodes"], warnings: tuple[str, ...]
) -> Prediction:
    shares = raw.op_ms / raw.op_ms.sum()
    return Prediction(
        model=network.label,
        platform=platform,
        batch=network.graph.batch,
        latency_ms=float(raw.latency_ms),
        low_ms=float(raw.low_ms),
        high_ms=float(raw.high_ms),
        coverage=1.0 if seen.all() else float(shares[seen].sum()),
        warnings=warnings,
        per_op=_per_op(network, raw.op_ms, shares),
    )


def _is_positive(raw: RawPrediction) -> bool:
    figures = (raw.latency_ms, raw.low_ms, raw.high_ms, raw.op_ms.sum())
    return all(0 < figure < np.inf for figure in figures)


def _out_of_bounds(label: str, raw: RawPrediction) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"{label}: expected a positive latency, got {raw.latency_ms} ms ({raw.low_ms} to {raw.high_ms} ms); "
        "the network lies outside what the weights can judge. "
        f"Look for absurd shapes with: costmodel inspect {label} --ops"
    )


def _per_op(network: _Network, op_ms: NDArray[np.floating], shares: NDArray[np.floating]) -> tuple[OpPrediction, ...]:
    rows = zip(network.features.op_index.tolist(), op_ms.tolist(), shares.tolist(), strict=True)
    return tuple(_op_prediction(network, index, latency_ms, share) for index, latency_ms, share in rows)


def _op_prediction(network: _Network, index: int, latency_ms: float, share: float) -> OpPrediction:
    op, cost = network.graph.ops[index], network.costs[index]
    return OpPrediction(
        name=op.name,
        op_type=op.qualified_type,
        scope=op.scope,
        latency_ms=latency_ms,
        share=share,
        flops=cost.flops,
        params=cost.params,
        bytes_read=cost.bytes_read,
        bytes_written=cost.bytes_written,
        sources=op.sources,
    )


def _unseen_warnings(network: _Network, seen: Bool[np.ndarray, "nodes"]) -> list[str]:
    if seen.all():
        return []
    unseen = network.features.op_index[~seen].tolist()
    total = sum(network.costs[index].flops for index in network.features.op_index.tolist())
    share = sum(network.costs[index].flops for index in unseen) / total if total else 0.0
    op_types = sorted({network.graph.ops[index].qualified_type for index in unseen})
    return [f"{format_percent(share)} of the FLOPs are in operations never seen in training: {', '.join(op_types)}"]


def _shape_warnings(graph: OpGraph) -> list[str]:
    shapeless = sum(any(value.shape is None for value in graph.results(op)) for op in graph)
    if not shapeless:
        return []
    return [
        f"{shapeless} of {len(graph)} operations make tensors of unknown shape, which count as empty "
        "but for the operation's overhead: the true latency is likely higher. Give the shapes of the inputs"
    ]
