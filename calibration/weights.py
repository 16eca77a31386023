"""Made-up weights for models that come without: a latency hardly depends on their values."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import prod, sqrt
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from costmodel.data.weightless import is_external, iter_tensors
from costmodel.errors import ModelFileError

if TYPE_CHECKING:
    from onnx import ModelProto, TensorProto

__all__ = ["fill_weights", "load_model"]

_POOL_SIZE = 1 << 20
"""Large tensors repeat a pool of this many numbers: drawing 500 MB anew would take longer than timing the model."""


def load_model(path: str | Path, *, fill_missing: bool = True) -> ModelProto:
    """Read an ONNX file.

    Args:
        path: The file.
        fill_missing: Whether weights whose external files are missing are made up.

    Raises:
        ModelFileError: The file cannot be read, is not an ONNX model, or lacks weights that are not to be made up.
    """
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # ships no types
    from onnx.external_data_helper import load_external_data_for_tensor

    path = Path(path)
    try:
        model = onnx.load(path, load_external_data=False)
    except OSError as error:
        raise ModelFileError(f"cannot read {path}: {error.strerror}.") from error
    except DecodeError as error:
        raise ModelFileError(f"{path} is not an ONNX model: its bytes do not parse.") from error
    for tensor in iter_tensors(model):
        if is_external(tensor) and _external_file(path, tensor).exists():
            load_external_data_for_tensor(tensor, str(path.parent))
            tensor.data_location = tensor.DEFAULT
            tensor.ClearField("external_data")
    missing = next((tensor.name for tensor in iter_tensors(model) if is_external(tensor)), None)
    if missing is not None and not fill_missing:
        raise ModelFileError(f"{path}: the weight {missing!r} is in another file, which is missing; copy it as well.")
    return fill_weights(model)


def fill_weights(model: ModelProto, seed: int = 0) -> ModelProto:
    """Give every tensor of ``model`` whose elements are missing seeded ones, in place.

    Floats of two dimensions and more are normal with standard deviation √(2 / fan-in) (He et al., 2015), which keeps
    activations near 1 through any depth; floats of one dimension (scales, biases, means, variances) lie in
    [0.5, 1.5), so that a variance is never negative; integers and booleans are 0 or 1.

    Args:
        model: Any model; tensors that have elements are left alone.
        seed: Same seed, same weights.

    Returns:
        ``model`` itself.
    """
    transposed = _matmul_weights(model)
    for tensor in iter_tensors(model):
        if is_external(tensor):
            elements = _elements(tensor, _fan_in(tensor.dims, tensor.name in transposed), seed)
            tensor.raw_data = elements.tobytes()
            tensor.data_location = tensor.DEFAULT
            tensor.ClearField("external_data")
    return model


def _external_file(model_path: Path, tensor: TensorProto) -> Path:
    location = next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
    return model_path.parent / location if location else model_path / "missing"


def _matmul_weights(model: ModelProto) -> set[str]:
    """Tensors whose fan-in is the last dimension but one, where a convolution's is all but the first."""
    return {node.input[1] for node in model.graph.node if node.op_type == "MatMul" and len(node.input) > 1}


def _fan_in(dims: Sequence[int], is_matmul: bool) -> int:
    if len(dims) < 2:
        return 1
    return max(dims[-2] if is_matmul else prod(dims[1:]), 1)


def _elements(tensor: TensorProto, fan_in: int, seed: int) -> np.ndarray:
    from onnx.helper import tensor_dtype_to_np_dtype

    dtype = tensor_dtype_to_np_dtype(tensor.data_type)
    count = prod(tensor.dims)
    if np.issubdtype(dtype, np.integer) or dtype == np.bool_:
        return _drawn("integers", seed, count).astype(dtype)
    if len(tensor.dims) < 2:
        return _drawn("uniform", seed, count).astype(dtype)
    return (_drawn("normal", seed, count) * np.float32(sqrt(2 / fan_in))).astype(dtype, copy=False)


def _drawn(kind: str, seed: int, count: int) -> np.ndarray:
    pool = _pool(kind, seed)
    return pool[:count] if count <= _POOL_SIZE else np.resize(pool, count)


@cache
def _pool(kind: str, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    if kind == "integers":
        return generator.integers(0, 2, _POOL_SIZE, dtype=np.int8)
    if kind == "uniform":
        return generator.uniform(0.5, 1.5, _POOL_SIZE).astype(np.float32)
    return generator.standard_normal(_POOL_SIZE, dtype=np.float32)
