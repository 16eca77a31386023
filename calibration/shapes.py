"""Fixing the symbolic batch of a model before it is timed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from costmodel.errors import MeasurementError

if TYPE_CHECKING:
    from onnx import ModelProto, ValueInfoProto
    from onnx.onnx_ml_pb2 import TensorShapeProto

__all__ = ["fix_batch"]


def fix_batch(model: ModelProto, batch: int | None = None) -> int:
    """Put a number in place of the symbolic leading dimension of the inputs of ``model``, in place.

    A model that fixes its batch itself is left as it is.

    Args:
        model: The model.
        batch: Batch to run at; ``None`` for the model's own, 1 where that is symbolic.

    Returns:
        The batch that the model now has: the leading dimension of its first input that has dimensions.

    Raises:
        MeasurementError: The model fixes another batch, or another dimension of an input is symbolic.
    """
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    symbols: set[str] = set()
    found: int | None = None
    for value in inputs:
        shape = _shape(value)
        if not shape.dim:
            continue
        leading = shape.dim[0]
        if not leading.HasField("dim_value"):
            symbols.add(leading.dim_param)
            leading.dim_value = 1 if batch is None else batch
        found = leading.dim_value if found is None else found
    if batch is not None and found is not None and found != batch:
        raise MeasurementError(f"the model fixes its batch at {found}, asked for {batch}; export it at that batch.")
    for value in inputs:
        _fix_symbols(value, symbols, found or 1)
    if symbols:
        _forget_inferred_shapes(model)
    return found or 1


def _forget_inferred_shapes(model: ModelProto) -> None:
    """Shapes written down for the symbolic batch would contradict the fixed one."""
    model.graph.ClearField("value_info")
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")


def _fix_symbols(value: ValueInfoProto, symbols: set[str], batch: int) -> None:
    for dimension in _shape(value).dim:
        if dimension.HasField("dim_value"):
            continue
        if dimension.dim_param not in symbols or not dimension.dim_param:
            sizes = ", ".join(_sizes(_shape(value)))
            raise MeasurementError(
                f"input {value.name!r} has the shape [{sizes}]; only the leading dimension may be symbolic. Fix the "
                "others first, e.g. with python -m onnxruntime.tools.make_dynamic_shape_fixed."
            )
        dimension.dim_value = batch


def _shape(value: ValueInfoProto) -> TensorShapeProto:
    return value.type.tensor_type.shape


def _sizes(shape: TensorShapeProto) -> Iterator[str]:
    for dimension in shape.dim:
        yield str(dimension.dim_value) if dimension.HasField("dim_value") else dimension.dim_param or "?"
