"""A predictor at rest: weights, the platforms they know, and how far they were off on networks they never saw."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict

from costmodel.errors import UnknownNameError, WeightsError
from costmodel.features.graph_batch import collate
from costmodel.features.graph_features import GraphFeatures
from costmodel.features.tokens import feature_schema_hash
from costmodel.files import save_tensors
from costmodel.graph.vocabulary import VOCABULARY
from costmodel.model.latency_model import LatencyModel, LatencyModelConfig
from costmodel.platforms import Platform
from costmodel.pretrained.adapter import Adapter
from costmodel.pretrained.folder import CARD, CONFIG, SCHEMA_VERSION, WEIGHTS, find_folder, parsed, read_document
from costmodel.pretrained.members import fingerprint_of, restored_members, tensors_of

__all__ = ["Bundle", "BundleConfig", "RawPrediction", "load_bundle", "save_bundle"]

_MEMBER = "member"
"""What names of tensors begin with."""

_MAX_NODES_A_FORWARD = 4_000
"""More operations at a time overflow the processor's caches and take a fifth longer each."""


class BundleConfig(BaseModel):
    """Everything about a bundle but its tensors; stored as ``config.json``.

    Attributes:
        name: Name of the weights.
        model: Shape of each member.
        members: Networks whose log latencies are averaged.
        platforms: The columns of the model, in order.
        seen_op_types: Operation types that occurred in training.
        error_quantiles: For each platform, the absolute log error that nine in ten networks of
            held-out architecture families stay within.
        provenance: Data, licences, seeds, versions: free text for people.
        adapters: Platforms that joined later.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = SCHEMA_VERSION
    feature_schema: str
    name: str
    model: LatencyModelConfig
    members: int
    platforms: tuple[Platform, ...]
    seen_op_types: tuple[str, ...]
    error_quantiles: tuple[float, ...]
    provenance: dict[str, Any] = {}
    adapters: tuple[Adapter, ...] = ()


@dataclass(frozen=True, slots=True)
class RawPrediction:
    """Latency of one network on one platform at one batch size.

    Attributes:
        latency_ms: Predicted latency of the batch, milliseconds.
        low_ms: Lower end of the 90 % interval.
        high_ms: Upper end of the 90 % interval.
        op_ms: Milliseconds of each row of the features; they add up to ``latency_ms``.
    """

    latency_ms: float
    low_ms: float
    high_ms: float
    op_ms: Float[np.ndarray, "nodes"]


@dataclass(frozen=True)
class Bundle:
    """Trained members and what is needed to use them.

    Attributes:
        config: See :class:`BundleConfig`.
        members: The trained networks.
        card: Model card, Markdown.
    """

    config: BundleConfig
    members: tuple[LatencyModel, ...]
    card: str = ""

    @property
    def platforms(self) -> tuple[Platform, ...]:
        """The platforms it predicts for: those it was trained on, then those that joined."""
        return (*self.config.platforms, *(adapter.platform for adapter in self.config.adapters))

    @cached_property
    def fingerprint(self) -> str:
        """Tells these weights from all others; platforms that join later do not change it."""
        return fingerprint_of(self.members)

    @property
    def seen_op_types(self) -> frozenset[int]:
        """Indices in the vocabulary of the operation types that occurred in training."""
        seen = set(self.config.seen_op_types)
        return frozenset(index for index, name in enumerate(VOCABULARY) if name in seen)

    def with_adapter(self, adapter: Adapter) -> Bundle:
        """The same weights with one more platform, in place of one of that name that joined before.

        Raises:
            WeightsError: The adapter was fitted on other weights.
        """
        if adapter.fingerprint != self.fingerprint:
            raise WeightsError(
                f"the platform {adapter.platform.name!r} was calibrated on weights {adapter.weights!r} "
                f"({adapter.fingerprint[:12]}), these are {self.config.name!r} ({self.fingerprint[:12]}); "
                "calibrate it again from the same measurements: costmodel calibrate fit"
            )
        others = (other for other in self.config.adapters if other.platform.name != adapter.platform.name)
        return replace(self, config=self.config.model_copy(update={"adapters": (*others, adapter)}))

    def predict(
        self, graphs: Sequence[GraphFeatures], platform_names: Sequence[str], batches: Sequence[int]
    ) -> list[list[RawPrediction]]:
        """Latencies of every graph (outer list) on every platform (inner list).

        Args:
            graphs: Features of each network, each with at least one node.
            platform_names: Canonical names.
            batches: Batch size each network runs at.

        Raises:
            UnknownNameError: A platform the weights do not know.
        """
        for name in platform_names:
            if name not in self._error_quantiles:
                raise UnknownNameError("platform", name, self._error_quantiles)
        joined = [adapter for adapter in self.config.adapters if adapter.platform.name in platform_names]
        out: list[list[RawPrediction]] = []
        for first, last in _chunks([len(graph) for graph in graphs]):
            part = graphs[first:last]
            forward = self._forward(part, batches[first:last], with_terms=bool(joined))
            for graph, batch, op_ms, term_shares in zip(part, batches[first:last], *forward, strict=True):
                columns = dict(zip(self._trained_names, op_ms.T, strict=True))
                for adapter in joined:
                    term_ms = op_ms[..., None] * term_shares
                    columns[adapter.platform.name] = adapter.op_ms(term_ms, graph, batch, self._trained_names)
                out.append([_raw(columns[name], self._error_quantiles[name]) for name in platform_names])
        return out

    def term_ms(
        self, graphs: Sequence[GraphFeatures], batches: Sequence[int]
    ) -> Iterator[Float[np.ndarray, "nodes platforms terms"]]:
        """What the time of each operation goes into, on every platform that the weights were trained on.

        Args:
            graphs: Features of each network, each with at least one node.
            batches: Batch size each network runs at.

        Yields:
            For each network milliseconds by :class:`~costmodel.features.cost_term.CostTerm`; over operations and
            terms they add up to the predicted latency.
        """
        for first, last in _chunks([len(graph) for graph in graphs]):
            forward = self._forward(graphs[first:last], batches[first:last], with_terms=True)
            for op_ms, term_shares in zip(*forward, strict=True):
                yield op_ms[..., None] * term_shares

    def term_shares(
        self, graph: GraphFeatures, platform_names: Sequence[str], batch: int
    ) -> list[Float[np.ndarray, "nodes terms"]]:
        """Which part of each operation's time goes into each :class:`~costmodel.features.cost_term.CostTerm`.

        Args:
            graph: Features of a network with at least one node.
            platform_names: Canonical names.
            batch: Batch size that it runs at.

        Returns:
            Parts that add up to 1, for each platform.
        """
        (term_ms,) = self.term_ms([graph], [batch])
        shares = dict(zip(self._trained_names, (term_ms / term_ms.sum(-1, keepdims=True)).swapaxes(0, 1), strict=True))
        for adapter in self.config.adapters:
            shares[adapter.platform.name] = adapter.term_shares(term_ms, graph, batch, self._trained_names)
        return [shares[name] for name in platform_names]

    @cached_property
    def _trained_names(self) -> list[str]:
        return [platform.name for platform in self.config.platforms]

    @cached_property
    def _error_quantiles(self) -> dict[str, float]:
        joined = {adapter.platform.name: adapter.error_quantile for adapter in self.config.adapters}
        return dict(zip(self._trained_names, self.config.error_quantiles, strict=True)) | joined

    @torch.inference_mode()
    def _forward(
        self, graphs: Sequence[GraphFeatures], batches: Sequence[int], *, with_terms: bool
    ) -> tuple[list[Float[np.ndarray, "nodes platforms"]], list[Float[np.ndarray, "nodes platforms terms"]]]:
        """Milliseconds of each operation on each platform, and their shares by term if those are asked for.

        Latencies are the geometric mean of the members'; operations share them as they do on the members' average.
        """
        batch = collate(graphs)
        sizes = torch.tensor(batches, dtype=torch.float32).unsqueeze(1).expand(-1, len(self.config.platforms))
        outputs = [member(batch, sizes) for member in self.members]
        latency_ms = torch.stack([output.log_ms.double() for output in outputs]).mean(0).exp().numpy()
        op_ms = torch.stack([output.op_ms.double() for output in outputs]).mean(0).numpy()
        ends = np.cumsum([len(graph) for graph in graphs])[:-1]
        parts = np.split(op_ms, ends)
        scaled = [part * (whole / part.sum(0)) for part, whole in zip(parts, latency_ms, strict=True)]
        if not with_terms:
            return scaled, [np.empty((*part.shape, 0)) for part in parts]
        shares = torch.stack([member.term_shares(batch, sizes).double() for member in self.members]).mean(0).numpy()
        return scaled, np.split(shares, ends)


def _raw(op_ms: Float[np.ndarray, "nodes"], error_quantile: float) -> RawPrediction:
    latency_ms, widening = float(op_ms.sum()), float(np.exp(error_quantile))
    return RawPrediction(latency_ms, latency_ms / widening, latency_ms * widening, op_ms)


def _chunks(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Runs of graphs that fit one forward pass, as (first, last + 1)."""
    chunks, first, nodes = [], 0, 0
    for index, size in enumerate(sizes):
        if index > first and nodes + size > _MAX_NODES_A_FORWARD:
            chunks.append((first, index))
            first, nodes = index, 0
        nodes += size
    if first < len(sizes):
        chunks.append((first, len(sizes)))
    return chunks


def load_bundle(name_or_dir: str | Path) -> Bundle:
    """Load shipped weights by name, or any bundle by its folder.

    Raises:
        UnknownNameError: Neither shipped weights nor a folder are called so.
        WeightsError: The files are incomplete, damaged, or made for another version of the features.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    folder = find_folder(name_or_dir)
    document = read_document(folder / CONFIG)
    _check_features(document, folder / CONFIG)
    config = parsed(BundleConfig, document, folder / CONFIG)
    try:
        tensors = load_file(folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{folder / WEIGHTS} cannot be read ({error}); copy the whole folder again.") from error
    try:
        members = restored_members(tensors, _MEMBER, config.members, lambda: LatencyModel(config.model))
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise WeightsError(f"{folder / WEIGHTS} does not fit {CONFIG} beside it: {reason}") from error
    card = folder / CARD
    return Bundle(config, members, card.read_text() if card.is_file() else "")


def _check_features(document: dict[str, Any], path: Path) -> None:
    if document.get("feature_schema") != feature_schema_hash():
        raise WeightsError(
            f"{path}: the weights were trained on features {document.get('feature_schema')!r}, this version computes "
            f"{feature_schema_hash()!r}; retrain with `costmodel train`, or use the release that wrote them."
        )


def save_bundle(bundle: Bundle, folder: str | Path) -> None:
    """Write ``config.json``, ``model.safetensors`` and the card into ``folder``, made if needed.

    Raises:
        OSError: It cannot be written.
    """
    folder = Path(folder)
    save_tensors(tensors_of(bundle.members, _MEMBER), folder / WEIGHTS)
    (folder / CONFIG).write_text(bundle.config.model_dump_json(indent=1) + "\n")
    if bundle.card:
        (folder / CARD).write_text(bundle.card)
