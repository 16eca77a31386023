"""What readers share that turn calls of another framework's operators into ONNX operations."""

from costmodel.graph.lowering.builder import GraphBuilder
from costmodel.graph.lowering.common import for_dtype, meshgrid, softplus
from costmodel.graph.lowering.element_types import named_dtype, numpy_array, onnx_number
from costmodel.graph.lowering.emitter import Emitter, Names
from costmodel.graph.lowering.lowerings import Lowerings

__all__ = [
    # where operations go
    "Emitter",
    "GraphBuilder",
    "Names",
    # who emits them
    "Lowerings",
    "for_dtype",
    "meshgrid",
    "softplus",
    # element types
    "named_dtype",
    "numpy_array",
    "onnx_number",
]
