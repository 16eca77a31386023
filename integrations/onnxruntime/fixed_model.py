"""A model as it is tuned: with its weights, and a size for every dimension of its inputs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from costmodel.calibration.weights import load_model
from costmodel.errors import UnsupportedModelError, UsageError
from costmodel.graph.onnx.bind import bind_inputs
from costmodel.graph.onnx.normalize import normalize

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["read_fixed_model"]

_LARGEST_BYTES = 2**31 - 1
"""What protobuf writes; the measuring processes get models whole."""


def read_fixed_model(
    path: Path, *, shapes: Mapping[str, tuple[int, ...]] | None = None, batch: int | None = None
) -> ModelProto:
    """Read an ONNX file with all its weights, and fix the sizes of its inputs.

    Args:
        path: The file.
        shapes: Sizes of inputs that the file leaves open, by the name of the input.
        batch: Size of the leading dims that it leaves open; 1, if not given.

    Raises:
        ModelFileError: The file or its weights cannot be read, or are no model.
        UsageError: ``shapes`` or ``batch`` contradict the file, or a size is not given.
        UnsupportedModelError: The operator set is older than 7, or the model is too large.
    """
    model = normalize(load_model(path, fill_missing=False))
    if bind_inputs(model.graph, dict(shapes or {}), batch) is not None:
        raise UsageError(f"{path} has another batch than {batch} in its inputs; export it at that batch.")
    if model.ByteSize() > _LARGEST_BYTES:
        raise UnsupportedModelError(f"{path} has more than 2 GB with its weights, which is more than is tuned here.")
    return model
