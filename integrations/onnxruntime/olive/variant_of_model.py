"""Which variant a model of Olive's is: its format, and the session that its settings ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from costmodel.integrations.onnxruntime.model_format import ModelFormat
from costmodel.integrations.onnxruntime.variant import DEFAULT_VARIANT, Variant

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["GRAPH_OPTIMIZATION_NUMBERS", "format_of", "variant_of"]

GRAPH_OPTIMIZATION_NUMBERS: Mapping[str, int] = {"none": 0, "basic": 1, "extended": 2, "all": 99}
"""Levels as onnxruntime counts them, which is what Olive's settings hold."""

_DYNAMIC_OPS = frozenset({"DynamicQuantizeLinear", "DynamicQuantizeMatMul", "MatMulInteger", "ConvInteger"})
_STATIC_OPS = frozenset({"QuantizeLinear", "DequantizeLinear", "QLinearConv", "QLinearMatMul"})


def format_of(model: ModelProto) -> ModelFormat:
    """The format of a model, by the operators in it."""
    ops = {node.op_type for node in model.graph.node}
    if ops & _DYNAMIC_OPS:
        return ModelFormat.INT8_DYNAMIC
    return ModelFormat.INT8_QDQ if ops & _STATIC_OPS else ModelFormat.FP32


def variant_of(model: ModelProto, inference_settings: Mapping[str, Any]) -> Variant:
    """The variant of a model with Olive's settings for its session; one thread where they name none.

    Raises:
        UnknownNameError: An entry of the configuration is not known.
        UsageError: A number or a value outside of what onnxruntime takes.
    """
    options = inference_settings.get("session_options") or {}
    number = options.get("graph_optimization_level")
    levels = {value: level for level, value in GRAPH_OPTIMIZATION_NUMBERS.items()}
    return Variant(
        format_of(model),
        DEFAULT_VARIANT.graph_optimization if number is None else levels.get(number, str(number)),
        options.get("intra_op_num_threads") or 1,
        session_config=tuple(sorted((options.get("extra_session_config") or {}).items())),
    )
