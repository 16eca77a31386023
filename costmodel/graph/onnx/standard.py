"""Types of one node's outputs, by ONNX's own inference for its operator."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import checker, defs, helper, numpy_helper, shape_inference

from costmodel.graph.onnx.facts import Facts

__all__ = ["infer_standard"]


def infer_standard(node: onnx.NodeProto, facts: Facts) -> dict[str, onnx.TypeProto]:
    """Types of those outputs of ``node`` that its inputs decide; empty when they contradict each other.

    Operators that ONNX does not define give nothing.
    """
    version = facts.opsets.get(node.domain) or defs.onnx_opset_version()
    names = [name for name in node.input if name]
    try:
        schema = defs.get_schema(node.op_type, version, node.domain)
        return shape_inference.infer_node_outputs(
            schema,
            node,
            {name: facts.type_of(name) for name in names},
            {name: _tensor(facts.data[name]) for name in names if name in facts.data},
            opset_imports=[helper.make_opsetid(domain, number) for domain, number in facts.opsets.items()],
        )
    except (checker.ValidationError, defs.SchemaError, shape_inference.InferenceError, RuntimeError, ValueError):
        return {}


def _tensor(elements: NDArray[np.generic]) -> onnx.TensorProto:
    return numpy_helper.from_array(elements)
