"""Collapses quantise-dequantise pairs around an operation into its quantised form, as runtimes do."""

from __future__ import annotations

from typing import TypeGuard

from costmodel.graph.op_graph import Op, OpGraph
from costmodel.graph.passes.base import Pass
from costmodel.graph.passes.matching import Wiring
from costmodel.graph.passes.rewriting import Rewriter

__all__ = ["FuseQdq"]


class FuseQdq(Pass):
    """Run on integers what is dequantised, computed and quantised again.

    A dequantised tensor that others read too stays for them.  A rectifier between
    the operation and its ``QuantizeLinear`` is the saturation of the latter, and goes.
    Anything that does not match in full, such as a product whose weight alone is
    quantised, stays as it is.

    1. ``Quantize(Conv(Dequantize(x), Dequantize(w), Dequantize(b)))`` → ``QLinearConv(x, ..., w, ..., b)``
    2. ``Quantize(MatMul(Dequantize(a), Dequantize(b)))`` → ``QLinearMatMul(a, ..., b, ...)``
    3. ``Quantize(Add(Dequantize(a), Dequantize(b)))`` → ``Add(a, b)`` on quantised tensors
    """

    def run(self, graph: OpGraph) -> OpGraph:
        """See :meth:`Pass.run`."""
        edits = Rewriter(graph)
        for op in graph.ops:
            if op.op_type in _RUNS_ON_INTEGERS and not op.domain:
                _collapse(op, edits)
        return edits.apply()


_ELEMENTWISE = frozenset(
    {
        "Add",
        "AveragePool",
        "Clip",
        "Concat",
        "Flatten",
        "Gather",
        "Gemm",
        "GlobalAveragePool",
        "LeakyRelu",
        "MaxPool",
        "Mul",
        "Pad",
        "ReduceMean",
        "Relu",
        "Reshape",
        "Resize",
        "Sigmoid",
        "Slice",
        "Softmax",
        "Squeeze",
        "Transpose",
        "Unsqueeze",
    }
)
_RUNS_ON_INTEGERS = _ELEMENTWISE | {"Conv", "MatMul"}
_SATURATED = frozenset({"Clip", "Relu"})


def _collapse(op: Op, edits: Rewriter) -> None:
    wiring = edits.wiring
    tail = _until_quantize(op, wiring)
    operands = [_dequantizer(name, wiring) for name in op.inputs]
    if not tail or not any(operands) or any(op.outputs[1:]):
        return
    for name, dequantizer in zip(op.inputs, operands, strict=True):
        if name and dequantizer is None and wiring.graph.values[name].dtype.is_float:
            return
    sole_read = [dq for dq in operands if dq is not None and wiring.sole_reader(dq.outputs[0]) is op]
    op_type, inputs = _quantised_form(op, operands, tail[-1])
    edits.fuse((*sole_read, op, *tail), op_type, inputs, op.attributes, main=op)


def _until_quantize(op: Op, wiring: Wiring) -> tuple[Op, ...]:
    """The operations from the only reader of ``op`` to its ``QuantizeLinear``; empty if it has none."""
    reader = wiring.sole_reader(op.outputs[0])
    if reader is not None and reader.op_type in _SATURATED and op.op_type not in _SATURATED and not reader.domain:
        follower = wiring.sole_reader(reader.outputs[0])
        return (reader, follower) if _is_quantize(follower) else ()
    return (reader,) if _is_quantize(reader) else ()


def _is_quantize(op: Op | None) -> TypeGuard[Op]:
    return op is not None and op.op_type == "QuantizeLinear" and not op.domain


def _dequantizer(value_name: str, wiring: Wiring) -> Op | None:
    return wiring.producer(value_name, "DequantizeLinear") if value_name else None


def _quantised_form(op: Op, operands: list[Op | None], quantize: Op) -> tuple[str, tuple[str, ...]]:
    """Type and inputs of the operation that computes ``op`` on the tensors its operands were dequantised from."""
    result = _with_scale(quantize)[1:]
    if op.op_type in ("Conv", "MatMul"):
        first, second, *bias = operands
        product = (*_with_scale(first), *_with_scale(second), *result)
        return f"QLinear{op.op_type}", (*product, *(b.inputs[0] for b in bias if b is not None))
    integers = (dq.inputs[0] if dq is not None else name for dq, name in zip(operands, op.inputs, strict=True))
    return op.op_type, tuple(integers)


def _with_scale(op: Op | None) -> tuple[str, str, str]:
    """Tensor, scale and zero point that ``op`` reads."""
    assert op is not None  # the caller found no floating-point operand that is not dequantised
    tensor, scale, *zero_point = op.inputs
    return tensor, scale, zero_point[0] if zero_point else ""
