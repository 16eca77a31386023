"""Inputs made up for a model whose values do not matter, only its times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from costmodel.errors import MeasurementError

if TYPE_CHECKING:
    from onnx import ModelProto, ValueInfoProto

__all__ = ["random_array", "random_inputs"]

_NUMBERS = frozenset("fiub")
"""Kinds of numpy types that random values are made for: floats, integers and booleans."""


def random_inputs(model: ModelProto, seed: int = 0) -> list[np.ndarray]:
    """One array for each input that is no weight, in the model's order.

    Raises:
        MeasurementError: An input without a fixed shape, or that is no tensor of numbers.
    """
    generator = np.random.default_rng(seed)
    weights = {tensor.name for tensor in model.graph.initializer}
    return [_random_array(value, generator) for value in model.graph.input if value.name not in weights]


def _random_array(value: ValueInfoProto, generator: np.random.Generator) -> np.ndarray:
    from onnx import helper

    tensor = value.type.tensor_type
    dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type) if tensor.elem_type else np.dtype(object)
    if dtype.kind not in _NUMBERS:
        raise MeasurementError(f"input {value.name!r} is no tensor of numbers; only those can be made up.")
    sizes = [size.dim_value for size in tensor.shape.dim if size.HasField("dim_value")]
    if len(sizes) != len(tensor.shape.dim):
        raise MeasurementError(f"input {value.name!r} has no fixed shape; expected a number for every dimension.")
    return random_array(sizes, dtype, generator)


def random_array(sizes: Sequence[int], dtype: np.dtype[Any], generator: np.random.Generator) -> np.ndarray:
    """An array of normal floats, or of integers or booleans 0 or 1, which are valid as indices."""
    if dtype.kind == "f":
        return generator.standard_normal(sizes).astype(dtype)
    return generator.integers(0, 2, sizes).astype(dtype)
