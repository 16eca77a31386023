"""Refuses operations that lack what every operation of their type has."""

from __future__ import annotations

from math import inf

from costmodel.errors import GraphError
from costmodel.graph.op_graph import Op, OpGraph

__all__ = ["check_operands"]


def check_operands(graph: OpGraph) -> None:
    """Check that the operations which passes look into have their operands and a result.

    Operators of other domains and types that no pass knows are not looked at.

    Args:
        graph: The graph about to be simplified.

    Raises:
        GraphError: An operation has too few or too many operands, lacks a required
            one, or does not make its first result.
    """
    for op in graph.ops:
        if op.domain or op.op_type not in _OPERANDS:
            continue
        least, most = _OPERANDS[op.op_type]
        if not least <= len(op.inputs) <= most or "" in op.inputs[:least]:
            expected = f"{least}" if least == most else f"at least {least}"
            raise _malformed(op, f"expected {expected} operands, got {op.inputs}")
        if not op.outputs or not op.outputs[0]:
            raise _malformed(op, f"expected a first result, got {op.outputs}")


def _malformed(op: Op, finding: str) -> GraphError:
    return GraphError(
        f"operation {op.name!r} is no valid {op.op_type}: {finding}. "
        "The model contradicts the ONNX operator set; check it with onnx.checker.check_model or export it again."
    )


_OPERANDS: dict[str, tuple[int, float]] = {
    **dict.fromkeys(("Add", "Div", "MatMul", "Mul", "Pow", "Sub"), (2, 2)),
    **dict.fromkeys(("Conv", "ConvTranspose", "DequantizeLinear", "Gemm", "QuantizeLinear"), (2, inf)),
    **dict.fromkeys(("InstanceNormalization", "Where"), (3, inf)),
    "BatchNormalization": (5, inf),
    **dict.fromkeys(
        (
            *("AveragePool", "Cast", "CastLike", "Clip", "Concat", "DepthToSpace", "Dropout", "Erf", "Expand"),
            *("Flatten", "Gather", "GlobalAveragePool", "GlobalMaxPool", "HardSigmoid", "Identity", "IsNaN"),
            *("LeakyRelu", "Max", "MaxPool", "Mean", "Min", "Pad", "Reciprocal", "Relu", "Reshape", "Resize"),
            *("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin"),
            *("ReduceProd", "ReduceSum", "ReduceSumSquare", "Shape", "Sigmoid", "Size", "Slice", "Softmax"),
            *("Softplus", "SpaceToDepth", "Split", "Sqrt", "Squeeze", "Sum", "Tanh", "Tile", "TopK", "Transpose"),
            *("Trilu", "Unsqueeze", "Upsample"),
        ),
        (1, inf),
    ),
}
"""Least and greatest number of operands; the least are required."""
