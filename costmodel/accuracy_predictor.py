"""From architectures to accuracies: what a search asks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, PositiveInt

from costmodel.errors import DataError, UnknownNameError, WeightsError
from costmodel.features.cell_batch import collate_cells
from costmodel.files import save_tensors
from costmodel.model import AccuracyModel, NNFormerConfig
from costmodel.pretrained.folder import CONFIG, SCHEMA_VERSION, WEIGHTS, parsed, read_document
from costmodel.pretrained.members import fingerprint_of, restored_members, tensors_of
from costmodel.spaces import SearchSpace, find_space
from costmodel.training.accuracy_fit import AccuracyFitConfig, fit_accuracy_model, predict_accuracies
from costmodel.training.label_scale import LabelScale

__all__ = ["AccuracyConfig", "AccuracyPredictor", "fit_accuracy"]

_MEMBER = "member"


class AccuracyConfig(BaseModel):
    """Sizes of an accuracy predictor, and how it is trained.

    Attributes:
        members: Models whose predictions are averaged, each from a seed of its own.
        dim: Width of the embeddings.
        depth: Number of blocks.
        heads: Attention heads, a multiple of four.
        ffn_ratio: Hidden width of the feed-forward networks over ``dim``.
        dropout: In the blocks.
        fit: How each member is trained.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    members: PositiveInt = 3
    dim: PositiveInt = 64
    depth: PositiveInt = 4
    heads: PositiveInt = 4
    ffn_ratio: PositiveInt = 4
    dropout: float = 0.1
    fit: AccuracyFitConfig = AccuracyFitConfig()

    def trunk_for(self, space: SearchSpace) -> NNFormerConfig:
        """The graph transformer of each member; the class token is an operation more."""
        return NNFormerConfig(
            num_op_types=len(space.operations) + 1,
            num_features=0,
            dim=self.dim,
            depth=self.depth,
            heads=self.heads,
            ffn_ratio=self.ffn_ratio,
            dropout=self.dropout,
            layer_scale=None,
        )


class _Saved(BaseModel):
    """What is kept beside the tensors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = SCHEMA_VERSION
    space: str
    operations: tuple[str, ...]
    trunk: NNFormerConfig
    members: PositiveInt
    scale: LabelScale
    provenance: dict[str, Any] = {}


class AccuracyPredictor:
    """Predicts how accurate networks of a search space will be, from their cells.

    Made by :func:`fit_accuracy` or :meth:`from_pretrained`.
    """

    def __init__(self, space: SearchSpace, members: Sequence[AccuracyModel], saved: _Saved) -> None:
        self.space = space
        self._members = tuple(members)
        self._saved = saved

    def __repr__(self) -> str:
        return f"AccuracyPredictor({self.space.name!r}, {len(self._members)} members)"

    @property
    def fingerprint(self) -> str:
        """Tells these weights from all others."""
        return fingerprint_of(self._members)

    def predict(self, archs: Sequence[str]) -> Float[np.ndarray, "archs"]:
        """Accuracy of each architecture, per cent, as the labels were measured.

        Raises:
            UsageError: A text is no architecture of the space.
        """
        return self._saved.scale.percent_of(self.scores(archs))

    def scores(self, archs: Sequence[str]) -> Float[np.ndarray, "archs"]:
        """The same as normal scores: where an architecture stands among those that were trained, 0 in the middle.

        Raises:
            UsageError: A text is no architecture of the space.
        """
        mean: Float[np.ndarray, "archs"] = self._member_scores(archs).mean(axis=0)
        return mean

    def spread(self, archs: Sequence[str]) -> Float[np.ndarray, "archs"]:
        """Standard deviation between members, percentage points; how unsure they are of each other.

        Raises:
            UsageError: A text is no architecture of the space.
        """
        deviation: Float[np.ndarray, "archs"] = self._saved.scale.percent_of(self._member_scores(archs)).std(axis=0)
        return deviation

    def _member_scores(self, archs: Sequence[str]) -> Float[np.ndarray, "members archs"]:
        if not archs:
            return np.zeros((len(self._members), 0))
        cells = collate_cells([self.space.effective_cell(arch) for arch in archs])
        scores = torch.stack([predict_accuracies(member, cells) for member in self._members])
        return scores.double().numpy()

    @classmethod
    def from_pretrained(cls, folder: str | Path, space: SearchSpace | None = None) -> Self:
        """Load what :meth:`save_pretrained` wrote.

        Args:
            folder: Where.
            space: The search space, if it is not one of the package's.

        Raises:
            UnknownNameError: There is nothing, or no search space of its name.
            WeightsError: The files are damaged, or of a space with other operations.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        folder = Path(folder)
        if not (folder / CONFIG).is_file():
            raise UnknownNameError("accuracy weights", str(folder), (), f"Expected a folder that holds {CONFIG}.")
        saved = parsed(_Saved, read_document(folder / CONFIG), folder / CONFIG)
        space = find_space(saved.space) if space is None else space
        if space.operations != saved.operations:
            raise WeightsError(
                f"{folder / CONFIG}: trained on {saved.space!r} with the operations {', '.join(saved.operations)}; "
                f"{space.name!r} has {', '.join(space.operations)}. Train again with: costmodel.fit_accuracy"
            )
        try:
            tensors = load_file(folder / WEIGHTS)
            members = restored_members(tensors, _MEMBER, saved.members, lambda: AccuracyModel(saved.trunk))
        except (OSError, SafetensorError, RuntimeError) as error:
            reason = str(error).splitlines()[-1].strip()
            raise WeightsError(f"{folder / WEIGHTS} cannot be used: {reason}; copy the whole folder again.") from error
        return cls(space, members, saved)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the weights to a folder that :meth:`from_pretrained` reads.

        Raises:
            OSError: It cannot be written.
        """
        folder = Path(folder)
        save_tensors(tensors_of(self._members, _MEMBER), folder / WEIGHTS)
        (folder / CONFIG).write_text(self._saved.model_dump_json(indent=1) + "\n")


def fit_accuracy(
    space: SearchSpace | str,
    archs: Sequence[str],
    accuracies_percent: Sequence[float] | Float[np.ndarray, "archs"],
    config: AccuracyConfig | None = None,
    *,
    run_dir: Path | None = None,
    on_check: Callable[[int, int, dict[str, float]], None] | None = None,
) -> AccuracyPredictor:
    """Learn accuracies from a few trained architectures.

    Args:
        space: The search space, or the name of one of the package's.
        archs: Architectures that were trained.
        accuracies_percent: Their accuracies, per cent.
        config: Sizes and training.
        run_dir: Where each member's checkpoint is kept, ``member0.safetensors`` ...; a run that was interrupted goes
            on from there.
        on_check: Called now and then with the member, the step and its metrics.

    Raises:
        DataError: Fewer than two architectures, not an accuracy for each, or accuracies that are all the same.
        UnknownNameError: There is no search space of that name.
        UsageError: A text is no architecture of the space.
        WeightsError: ``run_dir`` holds checkpoints of another run.
    """
    space = find_space(space) if isinstance(space, str) else space
    config = config or AccuracyConfig()
    labels = np.asarray(accuracies_percent, dtype=np.float64)
    if len(archs) < 2 or labels.shape != (len(archs),) or not np.isfinite(labels).all() or labels.std() == 0:
        raise DataError(
            f"expected a finite accuracy for each of at least two architectures, and not all the same; got "
            f"{labels.size} accuracies of {len(archs)} architectures. Train some more networks."
        )
    scale = LabelScale.of(labels)
    cells = collate_cells([space.effective_cell(arch) for arch in archs])
    targets = torch.tensor(scale.scores_of(labels), dtype=torch.float32)
    trunk = config.trunk_for(space)
    members = []
    for index in range(config.members):
        fit = config.fit.model_copy(update={"seed": config.fit.seed + index})
        torch.manual_seed(fit.seed)
        members.append(
            fit_accuracy_model(
                AccuracyModel(trunk),
                cells,
                targets,
                fit,
                checkpoint=run_dir / f"member{index}.safetensors" if run_dir else None,
                on_check=partial(on_check, index) if on_check else None,
            )
        )
    saved = _Saved(
        space=space.name,
        operations=space.operations,
        trunk=trunk,
        members=config.members,
        scale=scale,
        provenance={"architectures": len(archs), "fit": config.fit.model_dump()},
    )
    return AccuracyPredictor(space, members, saved)
