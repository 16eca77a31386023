"""A predictor at rest: weights, the platforms they know, and how far they were off on networks they never saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
from costmodel.graph.vocabulary import VOCABULARY
from costmodel.model.latency_model import LatencyModel, LatencyModelConfig
from costmodel.platforms import Platform
from costmodel.pretrained.folder import CARD, CONFIG, SCHEMA_VERSION, WEIGHTS, find_folder, parsed, read_document

__all__ = ["Bundle", "BundleConfig", "RawPrediction", "load_bundle", "save_bundle"]

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
        """The platforms it predicts for."""
        return self.config.platforms

    @property
    def seen_op_types(self) -> frozenset[int]:
        """Indices in the vocabulary of the operation types that occurred in training."""
        seen = set(self.config.seen_op_types)
        return frozenset(index for index, name in enumerate(VOCABULARY) if name in seen)

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
        known = {platform.name: column for column, platform in enumerate(self.platforms)}
        for name in platform_names:
            if name not in known:
                raise UnknownNameError("platform", name, known)
        columns = [known[name] for name in platform_names]
        out: list[list[RawPrediction]] = []
        for first, last in _chunks([len(graph) for graph in graphs]):
            out.extend(self._predict_chunk(graphs[first:last], columns, batches[first:last]))
        return out

    @torch.inference_mode()
    def _predict_chunk(
        self, graphs: Sequence[GraphFeatures], columns: list[int], batches: Sequence[int]
    ) -> list[list[RawPrediction]]:
        batch = collate(graphs)
        sizes = torch.tensor(batches, dtype=torch.float32).unsqueeze(1).expand(-1, len(self.platforms))
        outputs = [member(batch, sizes) for member in self.members]
        log_ms = np.stack([output.log_ms[:, columns].double().numpy() for output in outputs])
        op_ms = np.mean([output.op_ms[:, columns].double().numpy() for output in outputs], axis=0)
        centre = log_ms.mean(0)
        widening = np.exp(np.array(self.config.error_quantiles)[columns])
        ends = np.cumsum([len(graph) for graph in graphs])
        out = []
        for row, nodes in enumerate(np.split(op_ms, ends[:-1])):
            latency = np.exp(centre[row])
            contribution = nodes * (latency / nodes.sum(0))
            out.append(
                [
                    RawPrediction(
                        latency_ms=float(latency[column]),
                        low_ms=float(latency[column] / widening[column]),
                        high_ms=float(latency[column] * widening[column]),
                        op_ms=contribution[:, column],
                    )
                    for column in range(len(columns))
                ]
            )
        return out


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
    members = []
    for index in range(config.members):
        prefix = f"member{index}."
        state = {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}
        member = LatencyModel(config.model)
        try:
            member.load_state_dict(state)
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()
            raise WeightsError(f"{folder / WEIGHTS} does not fit {CONFIG} beside it: {reason}") from error
        members.append(member.eval())
    card = folder / CARD
    return Bundle(config, tuple(members), card.read_text() if card.is_file() else "")


def _check_features(document: dict[str, Any], path: Path) -> None:
    if document.get("feature_schema") != feature_schema_hash():
        raise WeightsError(
            f"{path}: the weights were trained on features {document.get('feature_schema')!r}, this version computes "
            f"{feature_schema_hash()!r}; retrain with `costmodel train`, or use the release that wrote them."
        )


def save_bundle(bundle: Bundle, folder: str | Path) -> None:
    """Write ``config.json``, ``model.safetensors`` and the card into ``folder``, made if needed."""
    from safetensors.torch import save_file

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        f"member{index}.{name}": tensor.detach().contiguous()
        for index, member in enumerate(bundle.members)
        for name, tensor in member.state_dict().items()
    }
    save_file(tensors, folder / WEIGHTS)
    (folder / CONFIG).write_text(bundle.config.model_dump_json(indent=1) + "\n")
    if bundle.card:
        (folder / CARD).write_text(bundle.card)
