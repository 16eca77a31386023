"""Inputs of a model, to quantise it by and to compare outputs on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np

from costmodel.calibration.measurers.random_inputs import random_inputs
from costmodel.errors import UsageError

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["Feeds", "check_feeds", "load_feeds", "random_feeds"]

Feeds = Mapping[str, np.ndarray]
"""One input of a model: an array for each of its inputs, by name."""


def load_feeds(path: Path) -> list[Feeds]:
    """Read inputs from an ``.npz`` file that has an array for each input of the model, all inputs stacked in it.

    Raises:
        UsageError: The file cannot be read, or its arrays are not of one length.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, AttributeError, BadZipFile) as error:
        raise UsageError(f"cannot read inputs from {path}; expected what numpy.savez writes: {error}") from error
    lengths = {name: len(array) if array.ndim else 0 for name, array in arrays.items()}
    if len(set(lengths.values())) != 1 or not min(lengths.values()):
        raise UsageError(
            f"{path}: expected an array for each input of the model, all with the same number of inputs stacked in "
            f"them, got {lengths or 'nothing'}."
        )
    return [{name: array[index] for name, array in arrays.items()} for index in range(min(lengths.values()))]


def random_feeds(model: ModelProto, count: int, seed: int = 0) -> list[dict[str, np.ndarray]]:
    """Made-up inputs.

    Args:
        model: With fixed sizes.
        count: How many.
        seed: Of the first; each of the others has the next one.

    Raises:
        MeasurementError: An input is of a type that cannot be made up, or has no fixed size.
    """
    names = _input_shapes(model)
    return [dict(zip(names, random_inputs(model, seed + offset), strict=True)) for offset in range(count)]


def check_feeds(model: ModelProto, feeds: Sequence[Feeds]) -> None:
    """Make sure that ``feeds`` are inputs of ``model``.

    Raises:
        UsageError: There are none, or one has another name or shape than the model's.
    """
    expected = _input_shapes(model)
    if not feeds:
        raise UsageError("expected one input at least to quantise by, got none.")
    for feed in feeds:
        found = {name: array.shape for name, array in feed.items()}
        if found != expected:
            raise UsageError(f"expected inputs of the shapes {expected}, got {found}.")


def _input_shapes(model: ModelProto) -> dict[str, tuple[int, ...]]:
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    return {value.name: tuple(size.dim_value for size in value.type.tensor_type.shape.dim) for value in inputs}
