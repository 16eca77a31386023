"""Where the models to measure come from; what crosses into the measuring process is a recipe, not the weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from costmodel.calibration.weights import fill_weights, load_model
from costmodel.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["FamilyNetwork", "ModelSource", "OnnxFile"]


class ModelSource(Protocol):
    """A model that can be had again and again, in another process too (so it must pickle)."""

    @property
    def name(self) -> str:
        """Unique in a campaign; measurements are filed under it."""

    def load(self) -> ModelProto:
        """The model with weights.

        Raises:
            CostModelError: It cannot be read or made.
        """


@dataclass(frozen=True, slots=True)
class OnnxFile:
    """An ONNX file; weights that are missing are made up.

    Attributes:
        path: The file.
        name: Name to file measurements under.
    """

    path: Path
    name: str

    @classmethod
    def at(cls, path: str | Path, name: str | None = None) -> OnnxFile:
        """The file at ``path``, by default named after it without the suffix.

        Raises:
            UsageError: There is no such file.
        """
        path = Path(path)
        if not path.is_file():
            raise UsageError(f"no file {path}; expected the path of an ONNX model.")
        return cls(path.resolve(), name or path.stem)

    def load(self) -> ModelProto:
        """Read the file."""
        return load_model(self.path)


@dataclass(frozen=True, slots=True)
class FamilyNetwork:
    """A network drawn from one of :data:`costmodel.data.families.FAMILIES`.

    Attributes:
        family: Name of the family.
        seed: Which network of it.
        batch: Batch it is generated for.
    """

    family: str
    seed: int
    batch: int = 1

    def __post_init__(self) -> None:
        from costmodel.data.families import FAMILIES

        if self.family not in FAMILIES:
            raise UnknownNameError("family", self.family, FAMILIES)

    @property
    def name(self) -> str:
        """E.g. ``"resnet-0007"``; other batches than 1 are told apart: ``"resnet-0007-b8"``."""
        return f"{self.family}-{self.seed:04d}" + (f"-b{self.batch}" if self.batch != 1 else "")

    def load(self) -> ModelProto:
        """Generate the graph and make its weights up, which is faster than drawing each one."""
        from costmodel.data.families import generate

        return fill_weights(generate(self.family, self.seed, batch=self.batch, weights=False))
