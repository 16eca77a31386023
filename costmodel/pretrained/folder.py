"""The folder that weights are kept in, read as far as that goes without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from costmodel.errors import UnknownNameError, WeightsError
from costmodel.platforms import Platform

__all__ = [
    # what is there
    "holds_accuracy_weights",
    "joined_platform",
    "pretrained_names",
    "pretrained_platforms",
    # the format
    "CARD",
    "CONFIG",
    "PLATFORM",
    "SCHEMA_VERSION",
    "WEIGHTS",
    "find_folder",
    "parsed",
    "read_document",
]

SCHEMA_VERSION = 1
CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
PLATFORM = "platform.json"
"""The one file of a platform that joined later."""

_Part = TypeVar("_Part", bound=BaseModel)


class _Joined(BaseModel):
    """The part of an adapter that says which platform it is for."""

    platform: Platform


class _Listing(BaseModel):
    """The part of a configuration that says what there are predictions for."""

    platforms: tuple[Platform, ...]
    adapters: tuple[_Joined, ...] = ()


def holds_accuracy_weights(folder: str | Path) -> bool:
    """Whether there is a folder that ``AccuracyPredictor.save_pretrained`` wrote, whole or damaged."""
    path = Path(folder) / CONFIG
    try:
        return path.is_file() and "space" in json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False


def pretrained_names() -> tuple[str, ...]:
    """Names of the weights that are shipped with the library."""
    root = Path(__file__).parent
    return tuple(sorted(path.parent.name for path in root.glob(f"*/{CONFIG}")))


def pretrained_platforms(name_or_dir: str | Path) -> tuple[Platform, ...]:
    """The platforms that weights know, without loading the weights.

    Args:
        name_or_dir: Name of weights that come with the package, or a folder.

    Raises:
        UnknownNameError: Neither shipped weights nor a folder are called so.
        WeightsError: The configuration is damaged, or of another version.
    """
    path = find_folder(name_or_dir) / CONFIG
    listing = parsed(_Listing, read_document(path), path)
    return (*listing.platforms, *(adapter.platform for adapter in listing.adapters))


def joined_platform(folder: Path) -> Platform:
    """The platform that joined later and is kept in ``folder``.

    Raises:
        WeightsError: Its file is missing, damaged, or of another version.
    """
    path = folder / PLATFORM
    return parsed(_Joined, read_document(path), path).platform


def find_folder(name_or_dir: str | Path) -> Path:
    """The folder of shipped weights, or the folder given.

    A name of shipped weights means those, whatever lies in the current folder; ``./NAME`` means the folder.

    Raises:
        UnknownNameError: Neither shipped weights nor a folder are called so.
    """
    if isinstance(name_or_dir, str) and name_or_dir in pretrained_names():
        return Path(__file__).parent / name_or_dir
    folder = Path(name_or_dir)
    if str(name_or_dir) == "" or not (folder / CONFIG).is_file():
        raise UnknownNameError(
            "pretrained weights", str(name_or_dir), pretrained_names(), f"A folder that holds {CONFIG} does as well."
        )
    return folder


def read_document(path: Path) -> dict[str, Any]:
    """The JSON object of the configuration at ``path``, of the version that is read here.

    Raises:
        WeightsError: The file is damaged, or of another version.
    """
    try:
        loaded = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read as JSON ({error}); {_remedy(path)}") from error
    document: dict[str, Any] = loaded if isinstance(loaded, dict) else {}
    version = document.get("schema_version")
    if version != SCHEMA_VERSION:
        raise WeightsError(
            f"{path}: expected schema version {SCHEMA_VERSION}, got {version!r}; "
            "use the release of nnformer-costmodel that wrote it."
        )
    return document


def parsed(kind: type[_Part], document: dict[str, Any], path: Path) -> _Part:
    """What ``kind`` makes of ``document``, read from ``path``.

    Raises:
        WeightsError: A field is missing or wrong; the message names the first.
    """
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise WeightsError(f"{path}: {place}: {first['msg']}; {_remedy(path)}") from error


def _remedy(path: Path) -> str:
    if path.name == PLATFORM:
        return "run its calibration again, which measures nothing twice, or copy the whole folder again."
    return "copy the whole folder again."
