"""What one operation computes and moves, from its shapes alone.

FLOPs follow the usual convention: a multiply-accumulate counts two, an
element-wise primitive (add, multiply, compare, exp, erf ...) one per element of
the result, and a fused operator as many as the primitives it stands for, so
that a fused and a spelt-out network count the same.  Bytes are those of a
kernel that reads every operand once and writes every result once; a view
(:data:`~costmodel.graph.vocabulary.VIEW_OPS`) moves none, and an operation that
picks a part of its operand reads that part only.

A tensor whose shape is unknown counts as empty.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import log2, prod

from costmodel.graph.op_graph import Op, OpGraph, Value
from costmodel.graph.vocabulary import VIEW_OPS, base_type

__all__ = ["OpCost", "op_cost", "op_costs", "op_flops", "total_cost"]


@dataclass(frozen=True, slots=True)
class OpCost:
    """Work of one operation at the shapes of its graph.

    Attributes:
        flops: Floating-point (or integer, when quantised) operations.
        params: Elements of the floating-point and quantised weights it reads.
        bytes_read: Bytes read, weights included.
        bytes_written: Bytes written.
        weight_bytes: The part of ``bytes_read`` that are weights, which a larger batch does not enlarge.
    """

    flops: float = 0.0
    params: int = 0
    bytes_read: float = 0.0
    bytes_written: float = 0.0
    weight_bytes: float = 0.0

    @property
    def bytes_moved(self) -> float:
        """Bytes read and written."""
        return self.bytes_read + self.bytes_written

    @property
    def intensity(self) -> float:
        """FLOPs per byte moved; 0 when nothing is moved."""
        return self.flops / self.bytes_moved if self.bytes_moved else 0.0

    def __add__(self, other: OpCost) -> OpCost:
        return OpCost(
            self.flops + other.flops,
            self.params + other.params,
            self.bytes_read + other.bytes_read,
            self.bytes_written + other.bytes_written,
            self.weight_bytes + other.weight_bytes,
        )


def op_costs(graph: OpGraph) -> tuple[OpCost, ...]:
    """Cost of every operation of ``graph``, in the order of ``graph.ops``."""
    return tuple(op_cost(op, graph) for op in graph.ops)


def total_cost(graph: OpGraph) -> OpCost:
    """Cost of the whole graph.

    In ``params``, a weight that several operations share is counted once, and one that an operation makes of
    other weights not at all.
    """
    total = sum(op_costs(graph), OpCost())
    weights = {
        value.name: value.size
        for op in graph.ops
        for value in graph.operands(op)
        if value is not None and _is_parameter(value) and value.name not in graph.producers
    }
    return OpCost(total.flops, sum(weights.values()), total.bytes_read, total.bytes_written, total.weight_bytes)


def op_cost(op: Op, graph: OpGraph) -> OpCost:
    """Cost of one operation of ``graph``."""
    if op.op_type in VIEW_OPS:
        return OpCost()
    operands, results = graph.operands(op), graph.results(op)
    kind = base_type(op.op_type)
    # The positions that a scatter writes to are no data; a slice that is assigned has them in its arguments.
    read = operands[::2] if kind == "Scatter" else operands
    distinct = {value.name: value for value in read if value is not None}.values()
    weight_bytes = sum(value.nbytes for value in distinct if value.is_weight)
    bytes_read = sum(value.nbytes for value in distinct)
    bytes_written = sum(value.nbytes for value in results)
    if kind in _READS_WHAT_IT_WRITES:
        picked = min(bytes_written, bytes_read)
        weight_bytes = picked if operands and operands[0] is not None and operands[0].is_weight else 0.0
        bytes_read = picked
    return OpCost(
        flops=op_flops(op, graph),
        params=sum(value.size for value in distinct if _is_parameter(value)),
        bytes_read=bytes_read,
        bytes_written=bytes_written,
        weight_bytes=weight_bytes,
    )


def op_flops(op: Op, graph: OpGraph) -> float:
    """Floating-point (or integer, when quantised) operations of one operation of ``graph``."""
    if op.op_type in VIEW_OPS:
        return 0.0
    count = _FLOPS.get(base_type(op.op_type), _one_per_result)
    return float(count(op, graph.operands(op), graph.results(op)))


def _is_parameter(value: Value) -> bool:
    return value.is_weight and (value.dtype.is_float or value.dtype.is_quantized)


_Operands = tuple[Value | None, ...]
_Results = tuple[Value, ...]
_FlopFormula = Callable[[Op, _Operands, _Results], float]

_READS_WHAT_IT_WRITES = frozenset({"Slice", "Gather", "Expand", "Tile"})


def _shape(operands: _Operands, index: int) -> tuple[int, ...]:
    value = operands[index] if index < len(operands) else None
    return value.shape or () if value is not None else ()


def _size(operands: _Operands, index: int = 0) -> int:
    value = operands[index] if index < len(operands) else None
    return value.size if value is not None else 0


def _written(results: _Results) -> int:
    return results[0].size if results else 0


def _one_per_result(op: Op, operands: _Operands, results: _Results) -> float:
    return sum(value.size for value in results)


def _none(op: Op, operands: _Operands, results: _Results) -> float:
    return 0.0


def _per_result(count: float) -> _FlopFormula:
    return lambda op, operands, results: count * _written(results)


def _per_operand(count: float) -> _FlopFormula:
    return lambda op, operands, results: count * _size(operands)


def _conv(op: Op, operands: _Operands, results: _Results) -> float:
    weight = _shape(operands, 1)
    macs_per_result = prod(weight[1:]) if weight else 0
    return 2 * _written(results) * macs_per_result + _bias(operands, results)


def _conv_transpose(op: Op, operands: _Operands, results: _Results) -> float:
    weight = _shape(operands, 1)
    macs_per_operand = prod(weight[1:]) if weight else 0
    return 2 * _size(operands) * macs_per_operand + _bias(operands, results)


def _bias(operands: _Operands, results: _Results) -> int:
    return _written(results) if _size(operands, 2) else 0


def _gemm(op: Op, operands: _Operands, results: _Results) -> float:
    rows = _shape(operands, 0)
    depth = rows[0] if op.attr_int("transA", 0) and rows else rows[-1] if rows else 0
    return 2 * _written(results) * depth + _bias(operands, results)


def _matmul(op: Op, operands: _Operands, results: _Results) -> float:
    rows = _shape(operands, 0)
    return 2 * _written(results) * (rows[-1] if rows else 0)


def _attention(op: Op, operands: _Operands, results: _Results) -> float:
    """Two products and the softmax between them; a packed projection (com.microsoft) is added.

    Query, key and value are (batch, heads, tokens, dim), or (batch, tokens, width) where the
    operator splits the heads itself: the count does not depend on how it splits them.
    """
    query = _shape(operands, 0)
    if len(query) < 3:
        return 0.0
    if op.domain and op.op_type in ("Attention", "QAttention") and len(_shape(operands, 1)) == 2:
        batch, tokens, _ = query
        heads, width = op.attr_int("num_heads", 1), _written(results) // max(batch * tokens, 1)
        projection = 2 * _size(operands) * _shape(operands, 1)[-1]
        return projection + batch * (4 * width + 5 * heads) * tokens * tokens
    key, value = _shape(operands, 1), _shape(operands, 2)
    if not key or not value:
        return 0.0
    sources = key[-2]
    if len(query) == 3:
        heads = max(op.attr_int("q_num_heads", op.attr_int("num_heads", 1)), 1)
        rows, products = query[0] * query[1], query[2] + value[2]
    else:
        heads = 1
        rows, products = prod(query[:-1]), query[-1] + value[-1]
    return rows * sources * (2 * products + 5 * heads)


def _einsum(op: Op, operands: _Operands, results: _Results) -> float:
    equation = str(op.attributes.get("equation", "")).replace(" ", "")
    sizes: dict[str, int] = {}
    for term, value in zip(equation.split("->")[0].split(","), operands, strict=False):
        if value is not None and value.shape is not None and "." not in term and len(term) == len(value.shape):
            sizes.update(zip(term, value.shape, strict=True))
    return 2.0 * prod(sizes.values()) if sizes else 2.0 * _written(results)


def _pool(op: Op, operands: _Operands, results: _Results) -> float:
    return _written(results) * max(prod(op.attr_ints("kernel_shape", (1,))), 1)


def _recurrent(op: Op, operands: _Operands, results: _Results) -> float:
    """Input and recurrent products of every gate at every step, per direction."""
    steps = prod(_shape(operands, 0)[:2])
    return 2.0 * steps * (_size(operands, 1) + _size(operands, 2))


def _qlinear_conv(op: Op, operands: _Operands, results: _Results) -> float:
    weight = _shape(operands, 3 if op.op_type == "QLinearConv" else 1)
    return 2.0 * _written(results) * (prod(weight[1:]) if weight else 0)


def _resize(op: Op, operands: _Operands, results: _Results) -> float:
    taps = {"linear": 4, "cubic": 16}.get(str(op.attributes.get("mode", "nearest")), 0)
    return 2.0 * taps * _written(results)


def _top_k(op: Op, operands: _Operands, results: _Results) -> float:
    return _size(operands) * max(log2(max(_written(results), 2)), 1.0)


_FLOPS: dict[str, _FlopFormula] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Attention": _attention,
    "Einsum": _einsum,
    "LSTM": _recurrent,
    "GRU": _recurrent,
    "RNN": _recurrent,
    "QLinearConv": _qlinear_conv,
    "QLinearMatMul": _matmul,
    "BatchNormalization": _per_result(2),
    "LayerNormalization": _per_result(7),
    "GroupNormalization": _per_result(7),
    "InstanceNormalization": _per_result(7),
    "RMSNormalization": _per_result(4),
    "LpNormalization": _per_result(3),
    "LRN": _per_result(8),
    "Softmax": _per_result(5),
    "LogSoftmax": _per_result(5),
    "Clip": _per_result(2),
    "LeakyRelu": _per_result(2),
    "PRelu": _per_result(2),
    "Elu": _per_result(3),
    "HardSigmoid": _per_result(4),
    "HardSwish": _per_result(5),
    "Swish": _per_result(2),
    "Mish": _per_result(3),
    "Gelu": _per_result(5),
    "MaxPool": _pool,
    "AveragePool": _pool,
    "GlobalAveragePool": _per_operand(1),
    "GlobalMaxPool": _per_operand(1),
    "ReduceMean": _per_operand(1),
    "ReduceSum": _per_operand(1),
    "ReduceMax": _per_operand(1),
    "ReduceL2": _per_operand(2),
    "CumSum": _per_operand(1),
    "ArgMax": _per_operand(1),
    "TopK": _top_k,
    "Resize": _resize,
    "GridSample": _per_result(8),
    **dict.fromkeys(
        (
            "Transpose",
            "Concat",
            "Split",
            "Slice",
            "Pad",
            "Expand",
            "Tile",
            "Gather",
            "Scatter",
            "DepthToSpace",
            "SpaceToDepth",
            "Im2Col",
            "Col2Im",
            "Cast",
            "ConstantOfShape",
            "EyeLike",
            "Range",
        ),
        _none,
    ),
}
