"""ONNX models as torch modules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, fx, nn

from costmodel.calibration.measurers.torch_operator import ModuleWriter, Operator
from costmodel.calibration.measurers.torch_operators import OPERATORS
from costmodel.errors import MeasurementError

__all__ = ["onnx_module", "random_inputs"]

_STANDARD_DOMAINS = ("", "ai.onnx")

_FIRST_OPSET = 13
"""Before it, axes and bounds were given in other ways."""


# onnx2torch does the same for more operators, but imports torchvision, whose wheels do not load beside every torch.
def onnx_module(model: onnx.ModelProto) -> nn.Module:
    """The module that computes ``model`` with its weights, one torch call after the other, as eager code does.

    Args:
        model: A model with weights, all input shapes fixed.

    Returns:
        A module in evaluation mode that takes the model's inputs in their order; it returns the output, or a tuple
        of all outputs.

    Raises:
        MeasurementError: An operator or an attribute that is not translated (the message names it and the node), or a
            model that contradicts itself.
    """
    _check_opset(model)
    writer = ModuleWriter()
    values: dict[str, fx.Node] = {}
    for argument in _arguments(model):
        values[argument.name] = writer.input(_shape(argument), _dtype(argument))
    for tensor in model.graph.initializer:
        values[tensor.name] = writer.weight(_elements(tensor))
    for node in model.graph.node:
        values[node.output[0]] = _translate(node, values, writer)
    return writer.finish([_find(output.name, values) for output in model.graph.output]).eval()


def random_inputs(model: onnx.ModelProto, seed: int = 0) -> list[Tensor]:
    """Inputs for :func:`onnx_module`: normal floats; integers and booleans 0 or 1, which are valid as indices.

    Raises:
        MeasurementError: An input without a fixed shape, or of a type that torch lacks.
    """
    generator = torch.Generator().manual_seed(seed)
    return [_random(_shape(argument), _dtype(argument), generator) for argument in _arguments(model)]


def _random(shape: Sequence[int], dtype: torch.dtype, generator: torch.Generator) -> Tensor:
    if dtype.is_floating_point:
        return torch.randn(tuple(shape), generator=generator).to(dtype)
    return torch.randint(0, 2, tuple(shape), generator=generator).to(dtype)


def _check_opset(model: onnx.ModelProto) -> None:
    version = next((entry.version for entry in model.opset_import if entry.domain in _STANDARD_DOMAINS), _FIRST_OPSET)
    if version < _FIRST_OPSET:
        raise MeasurementError(
            f"the model is of opset {version}; torch takes {_FIRST_OPSET} and later. Convert it with "
            "onnx.version_converter, or measure with onnxruntime: --runtime onnxruntime."
        )


def _translate(node: onnx.NodeProto, values: Mapping[str, fx.Node], writer: ModuleWriter) -> fx.Node:
    inputs = [_find(name, values) if name else None for name in node.input]
    op = Operator(node, inputs, writer)
    if node.domain not in _STANDARD_DOMAINS or node.op_type not in OPERATORS:
        raise op.refused("it is none of those that are")
    if any(node.output[1:]):
        raise op.refused("it has more than one output")
    try:
        output = OPERATORS[node.op_type](op, *inputs)
    except (RuntimeError, TypeError, ValueError) as error:  # what torch says to operands that do not go together
        raise op.refused(str(error).partition("\n")[0]) from error
    op.expect_all_read()
    return output


def _find(name: str, values: Mapping[str, fx.Node]) -> fx.Node:
    if name not in values:
        raise MeasurementError(f"the model reads {name!r} before anything writes it; is the file damaged?")
    return values[name]


def _arguments(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """Inputs of the graph that are not weights."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in weights]


def _shape(value: onnx.ValueInfoProto) -> list[int]:
    dimensions = value.type.tensor_type.shape.dim
    if not all(dimension.HasField("dim_value") for dimension in dimensions):
        raise MeasurementError(f"input {value.name!r} has no fixed shape; fix all of its sizes first.")
    return [dimension.dim_value for dimension in dimensions]


def _elements(tensor: onnx.TensorProto) -> Tensor:
    try:
        return torch.tensor(numpy_helper.to_array(tensor))
    except TypeError as error:
        raise MeasurementError(f"weight {tensor.name!r} is of {_type_name(tensor.data_type)}, not in torch.") from error


def _dtype(value: onnx.ValueInfoProto) -> torch.dtype:
    element_type = value.type.tensor_type.elem_type
    try:
        return torch.from_numpy(np.empty(0, onnx.helper.tensor_dtype_to_np_dtype(element_type))).dtype
    except (KeyError, TypeError) as error:
        raise MeasurementError(f"input {value.name!r} is of {_type_name(element_type)}, not in torch.") from error


def _type_name(element_type: int) -> str:
    return str(onnx.TensorProto.DataType.Name(onnx.TensorProto.DataType.ValueType(element_type)))
