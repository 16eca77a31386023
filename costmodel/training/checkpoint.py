"""A training run on disk, as it stands between two passes over the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from costmodel.errors import WeightsError
from costmodel.files import save_tensors

__all__ = ["Checkpoint"]

_FINGERPRINT = "config"


@dataclass(frozen=True)
class Checkpoint:
    """Where a run is kept.

    Attributes:
        path: A safetensors file; it need not be there yet.
        fingerprint: What has to be equal for the run to be gone on with.
    """

    path: Path
    fingerprint: str

    def save(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        others: Mapping[str, Mapping[str, Tensor]],
        at: Mapping[str, float],
    ) -> None:
        """Replace the file.

        Args:
            model: As it is.
            optimizer: Its state is kept.
            others: More tensors, such as the average of the weights.
            at: Where the run stands.

        Raises:
            OSError: It cannot be written.
        """
        states = optimizer.state_dict()["state"].items()
        groups = {"model": model.state_dict(), **others, **{f"optimizer.{index}": state for index, state in states}}
        tensors = {
            f"{group}:{name}": tensor.contiguous().clone()
            for group, held in groups.items()
            for name, tensor in held.items()
        }
        save_tensors(tensors, self.path, {_FINGERPRINT: self.fingerprint, **{k: str(v) for k, v in at.items()}})

    def resume(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, others: Mapping[str, dict[str, Tensor]]
    ) -> dict[str, float] | None:
        """Put everything back as it was saved, and return where the run stood; ``None`` if there is no file.

        Raises:
            WeightsError: It was written by a run with another fingerprint, or cannot be read.
        """
        from safetensors import SafetensorError, safe_open

        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, framework="pt") as file:
                metadata = dict(file.metadata())
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - safe_open is no mapping
        except (OSError, SafetensorError) as error:
            raise WeightsError(f"{self.path} cannot be read ({error}); start over with --no-resume.") from error
        if metadata.pop(_FINGERPRINT, None) != self.fingerprint:
            raise WeightsError(
                f"{self.path} was written by a run with other settings or data; "
                "use another output folder, or start over with --no-resume."
            )
        groups: dict[str, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            group, name = key.split(":", 1)
            groups.setdefault(group, {})[name] = tensor
        model.load_state_dict(groups["model"])
        for group, held in others.items():
            held.update(groups.get(group, {}))
        state = optimizer.state_dict()
        state["state"] = {
            int(group.removeprefix("optimizer.")): held
            for group, held in groups.items()
            if group.startswith("optimizer.")
        }
        optimizer.load_state_dict(state)
        return {name: float(place) for name, place in metadata.items()}
