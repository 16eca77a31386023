"""The cost model at rest: one safetensors file, whose header says what the weights are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, PositiveInt, ValidationError
from safetensors import SafetensorError, safe_open

from costmodel.errors import UnknownNameError, UsageError, WeightsError
from costmodel.files import save_tensors
from costmodel.integrations.tvm.candidate import candidate_schema_hash
from costmodel.integrations.tvm.model import CandidateModel, CandidateModelConfig
from costmodel.pretrained.members import restored_members, tensors_of

__all__ = ["DEFAULT_WEIGHTS", "CandidateWeights", "find_weights", "load_weights", "save_weights"]

DEFAULT_WEIGHTS = "nnformer-metaschedule"
"""Those that come with the package."""

_SUFFIX = ".safetensors"
_KEY = "costmodel"
_SCHEMA_VERSION = 1


class CandidateWeights(BaseModel):
    """Everything about the weights but their tensors.

    Attributes:
        schema_version: Of this layout.
        feature_schema: What the features of candidates meant in training.
        model: Shape of each member.
        members: Models whose predictions are averaged.
        provenance: Data, seeds, versions: free text for people.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = _SCHEMA_VERSION
    feature_schema: str
    model: CandidateModelConfig
    members: PositiveInt
    provenance: dict[str, Any] = {}


def save_weights(members: Sequence[CandidateModel], path: str | Path, provenance: dict[str, Any] | None = None) -> None:
    """Write models to a file, which is replaced as a whole.

    Args:
        members: At least one; all of one shape.
        path: The file.
        provenance: Where they come from.

    Raises:
        WeightsError: It cannot be written.
    """
    about = CandidateWeights(
        feature_schema=candidate_schema_hash(),
        model=members[0].config,
        members=len(members),
        provenance=provenance or {},
    )
    try:
        save_tensors(tensors_of(members, ""), Path(path), {_KEY: about.model_dump_json()})
    except OSError as error:
        raise WeightsError(
            f"cannot write the cost model {path}: {error}. Make room, or choose another place."
        ) from error


def load_weights(name_or_path: str | Path) -> tuple[tuple[CandidateModel, ...], CandidateWeights]:
    """Read models from a file.

    Args:
        name_or_path: Name of weights that come with the package, or a file.

    Raises:
        UnknownNameError: There are no such weights.
        WeightsError: The file is damaged, or its models were trained on features of another version.
    """
    path = find_weights(name_or_path)
    try:
        with safe_open(path, framework="pt") as file:
            about = _parsed((file.metadata() or {}).get(_KEY), path)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # safe_open is no mapping
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path} cannot be read as weights ({error}); copy the file again.") from error
    try:
        return restored_members(tensors, "", about.members, lambda: CandidateModel(about.model)), about
    except (RuntimeError, UsageError) as error:
        raise WeightsError(f"{path} does not hold the model that its header describes; copy the file again.") from error


def find_weights(name_or_path: str | Path) -> Path:
    """The file of weights that come with the package, or the file given.

    Raises:
        UnknownNameError: There are no such weights.
    """
    shipped = Path(__file__).parent / "pretrained"
    names = sorted(path.name.removesuffix(_SUFFIX) for path in shipped.glob(f"*{_SUFFIX}"))
    if str(name_or_path) in names:
        return shipped / f"{name_or_path}{_SUFFIX}"
    if Path(name_or_path).is_file():
        return Path(name_or_path)
    raise UnknownNameError("cost model", str(name_or_path), names, "A file that `save` wrote does as well.")


def _parsed(header: str | None, path: Path) -> CandidateWeights:
    try:
        document = json.loads(header or "")
        version = document.get("schema_version")
        schema = document.get("feature_schema")
    except (ValueError, AttributeError) as error:
        raise WeightsError(f"{path} holds no cost model of candidates; expected a file that `save` wrote.") from error
    if version != _SCHEMA_VERSION:
        raise WeightsError(
            f"{path}: expected schema version {_SCHEMA_VERSION}, got {version!r}; use the release that wrote it."
        )
    if schema != candidate_schema_hash():
        raise WeightsError(
            f"{path} was trained on features {schema}, this release computes {candidate_schema_hash()}; "
            "train it again from the tuning records: costmodel tvm train"
        )
    try:
        return CandidateWeights.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        raise WeightsError(
            f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}; copy the file again."
        ) from error
