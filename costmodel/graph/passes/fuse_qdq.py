"""Collapses quantise-dequantise pairs around an operation into its quantised form, as runtimes do."""

from __future__ import annotations

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
_PRODUCTS = frozenset({"Conv", "MatMul"})
_RUNS_ON_INTEGERS = _ELEMENTWISE | _PRODUCTS
_SATURATED = frozenset({"Clip", "Relu"})


def _collapse(op: Op, edits: Rewriter) -> None:
    wiring = edits.wiring
    tail = _until_quantize(op, wiring)
    if not tail or any(op.outputs[1:]):
        return
    dequantizers = {name: dq for name in op.inputs if (dq := _dequantizer(name, wiring)) is not None}
    if not _is_quantised(op, dequantizers, wiring):
        return
    integers = [dequantizers[name].inputs[0] if name in dequantizers else name for name in op.inputs]
    op_type, inputs = op.op_type, tuple(integers)
    if op.op_type in _PRODUCTS:
        left, right = (_with_scale(dequantizers[name]) for name in op.inputs[:2])
        op_type, inputs = f"QLinear{op.op_type}", (*left, *right, *_with_scale(tail[-1])[1:], *integers[2:])
    sole_read = [dq for name, dq in dequantizers.items() if wiring.sole_reader(name) is op]
    edits.fuse((*sole_read, op, *tail), op_type, inputs, op.attributes, main=op)


def _is_quantised(op: Op, dequantizers: dict[str, Op], wiring: Wiring) -> bool:
    """Whether every floating-point operand was dequantised, and a product's two factors were."""
    if op.op_type in _PRODUCTS and not all(name in dequantizers for name in op.inputs[:2]):
        return False
    floats = [name for name in op.inputs if name and wiring.graph.values[name].dtype.is_float]
    return bool(floats) and all(name in dequantizers for name in floats)


def _until_quantize(op: Op, wiring: Wiring) -> tuple[Op, ...]:
    """The operations from the only reader of ``op`` to its ``QuantizeLinear``; empty if it has none."""
    reader = _only_follower(op, wiring)
    if reader is not None and reader.op_type in _SATURATED and op.op_type not in _SATURATED:
        follower = _only_follower(reader, wiring)
        return (reader, follower) if follower is not None and follower.op_type == "QuantizeLinear" else ()
    return (reader,) if reader is not None and reader.op_type == "QuantizeLinear" else ()


def _only_follower(op: Op, wiring: Wiring) -> Op | None:
    """The operation of ONNX's own domain that alone reads the result of ``op``, as its first operand."""
    reader = wiring.sole_reader(op.outputs[0])
    return reader if reader is not None and not reader.domain and reader.inputs[0] == op.outputs[0] else None


def _dequantizer(value_name: str, wiring: Wiring) -> Op | None:
    return wiring.producer(value_name, "DequantizeLinear") if value_name else None


def _with_scale(op: Op) -> tuple[str, ...]:
    """Tensor, scale and zero point that ``op`` reads; ``""`` for a zero point left out."""
    return (*op.inputs, "")[:3]
