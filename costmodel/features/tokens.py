"""The numbers that describe one operation to the model, and the schema that names them.

Sizes enter as ``log2(1 + x) / 8`` so that a thousandfold difference is of order one.
Everything that grows with the batch is divided by it first: the same network read
at batch 1 and at batch 8 gives the same tokens.
"""

from __future__ import annotations

import hashlib
from math import log2, prod
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from costmodel.graph.costs import OpCost
from costmodel.graph.op_graph import Op, OpGraph, Value
from costmodel.graph.vocabulary import VOCABULARY, base_type

__all__ = ["FEATURE_NAMES", "MOST_ALIGNED", "feature_schema_hash", "is_on_weights", "op_token"]

FEATURE_NAMES: tuple[str, ...] = (
    # work
    "flops",
    "bytes_read",
    "bytes_written",
    "weight_bytes",
    "intensity",
    # the operation as a (grouped) matrix product: rows x depth times depth x columns
    "rows",
    "columns",
    "depth",
    "groups",
    "columns_alignment",
    "depth_alignment",
    "rows_alignment",
    # window
    "kernel_height",
    "kernel_width",
    "stride",
    "dilation",
    "is_depthwise",
    "is_pointwise",
    # main operand and result, each as leading x channels x height x width
    "in_leading",
    "in_channels",
    "in_height",
    "in_width",
    "out_leading",
    "out_channels",
    "out_height",
    "out_width",
    "in_channels_alignment",
    "out_channels_alignment",
    "in_rank",
    "out_rank",
    # layout
    "axis_is_last",
    "axis_size",
    "contiguous_run",
    "moves_last_axis",
    # operands
    "operands",
    "results",
    "has_bias",
    "second_is_weight",
    "second_is_broadcast",
    "is_float",
    "is_half",
    "is_quantized",
    "is_on_weights",
    # place in the graph
    "parents",
    "children",
    "reads_input",
    "writes_output",
)

MOST_ALIGNED = 6
"""Powers of two beyond which an alignment makes no difference."""

_SCHEMA_VERSION = 1


def feature_schema_hash() -> str:
    """Fingerprint of the vocabulary and the token layout; weights carry it and are refused when it differs."""
    text = "\n".join((str(_SCHEMA_VERSION), *VOCABULARY, "--", *FEATURE_NAMES))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def op_token(
    op: Op, graph: OpGraph, cost: OpCost, *, parents: int, children: int, batch: int, on_weights: bool
) -> Float[np.ndarray, "features"]:
    """Features of one operation, in the order of :data:`FEATURE_NAMES`.

    Args:
        op: The operation.
        graph: The graph it belongs to.
        cost: Its cost, see :func:`costmodel.graph.costs.op_cost`.
        parents: Operations that do work and feed this one.
        children: Operations that do work and read from this one.
        batch: What to divide by to get numbers per image.
        on_weights: See :func:`is_on_weights`.
    """
    kind = base_type(op.op_type)
    operands = [value for value in graph.operands(op) if value is not None]
    results = graph.results(op)
    main = next((value for value in operands if not value.is_weight), operands[0] if operands else None)
    in_shape = _shape(main)
    out_shape = _shape(results[0] if results else None)
    rows, columns, depth, groups = _as_matrix_product(op, kind, graph, in_shape, out_shape, batch)
    kernel = op.attr_ints("kernel_shape") or _kernel_from_weight(op, kind, graph)
    strides = op.attr_ints("strides", (1,)) or (1,)
    axis = _axis(op, len(in_shape))
    run, moves_last = _transpose_runs(op, in_shape)
    second = operands[1] if len(operands) > 1 else None
    act_read, written = (cost.bytes_read - cost.weight_bytes) / batch, cost.bytes_written / batch
    intensity = cost.flops / batch / max(act_read + written + cost.weight_bytes, 1.0)
    dtype = main.dtype if main is not None else None
    values = (
        _log(cost.flops / batch),
        _log(act_read),
        _log(written),
        _log(cost.weight_bytes),
        _log(intensity),
        _log(rows),
        _log(columns),
        _log(depth),
        _log(groups),
        _alignment(columns),
        _alignment(depth),
        _alignment(rows),
        _log(kernel[0] if kernel else 0),
        _log(kernel[-1] if kernel else 0),
        _log(max(strides)),
        _log(max(op.attr_ints("dilations", (1,)) or (1,))),
        float(kind == "Conv" and groups > 1 and groups == _channels(in_shape)),
        float(kind == "Conv" and prod(kernel or (1,)) == 1),
        *_layout(in_shape, batch),
        *_layout(out_shape, batch),
        _alignment(_channels(in_shape)),
        _alignment(_channels(out_shape)),
        len(in_shape) / 4,
        len(out_shape) / 4,
        float(axis is not None and axis == len(in_shape) - 1),
        _log(in_shape[axis]) if axis is not None else 0.0,
        _log(run),
        float(moves_last),
        _log(len(operands)),
        _log(len(results)),
        float(kind in ("Conv", "ConvTranspose", "Gemm") and len(operands) > 2),
        float(second is not None and second.is_weight),
        float(second is not None and second.size < _size(out_shape)),
        float(dtype is not None and dtype.is_float and dtype.itemsize == 4),
        float(dtype is not None and dtype.is_float and dtype.itemsize == 2),
        float(dtype is not None and dtype.is_quantized),
        float(on_weights),
        _log(parents),
        _log(children),
        float(main is not None and main.name in graph.inputs),
        float(any(value.name in graph.outputs for value in results)),
    )
    return np.array(values, dtype=np.float32)


def is_on_weights(op: Op, graph: OpGraph) -> bool:
    """Whether ``op`` reads nothing but weights, so that its work does not grow with the batch."""
    return bool(op.inputs) and all(graph.values[name].is_weight for name in op.inputs if name)


def _log(size: float) -> float:
    return log2(1.0 + max(size, 0.0)) / 8


def _alignment(size: float) -> float:
    """How often two divides ``size``, up to 2^6: vector units and tensor cores waste what does not fill them."""
    whole = int(size)
    if whole <= 0:
        return 0.0
    return min((whole & -whole).bit_length() - 1, MOST_ALIGNED) / MOST_ALIGNED


def _shape(value: Value | None) -> tuple[int, ...]:
    return value.shape or () if value is not None else ()


def _size(shape: tuple[int, ...]) -> int:
    return prod(shape)


def _channels(shape: tuple[int, ...]) -> int:
    """Channels are axis 1 of an image (batch, channels, height, width ...), else the last axis."""
    if not shape:
        return 1
    return shape[1] if len(shape) >= 4 else shape[-1]


def _layout(shape: tuple[int, ...], batch: int) -> tuple[float, float, float, float]:
    if not shape:
        return 0.0, 0.0, 0.0, 0.0
    if len(shape) >= 4:
        leading, channels, height, width = shape[0], shape[1], prod(shape[2:-1]), shape[-1]
    elif len(shape) == 3:
        leading, channels, height, width = shape[0], shape[2], shape[1], 1
    else:
        leading, channels, height, width = shape[0], shape[-1], 1, 1
    return _log(leading / batch), _log(channels), _log(height), _log(width)


def _kernel_from_weight(op: Op, kind: str, graph: OpGraph) -> tuple[int, ...]:
    return _operand_shape(op, graph, 1)[2:] if kind in ("Conv", "ConvTranspose") else ()


class _MatrixProduct(NamedTuple):
    """The (grouped) product of rows x depth by depth x columns that an operation amounts to, per image."""

    rows: float
    columns: float
    depth: float
    groups: float


def _as_matrix_product(
    op: Op,
    kind: str,
    graph: OpGraph,
    in_shape: tuple[int, ...],
    out_shape: tuple[int, ...],
    batch: int,
) -> _MatrixProduct:
    if kind in ("Conv", "QLinearConv", "ConvTranspose") and len(out_shape) > 2:
        weight = _operand_shape(op, graph, 3 if op.op_type == "QLinearConv" else 1)
        groups = max(op.attr_int("group", 1), 1)
        return _MatrixProduct(prod(out_shape[2:]), out_shape[1] / groups, prod(weight[1:]) if weight else 0, groups)
    if kind in ("Gemm", "MatMul", "QLinearMatMul") and in_shape and out_shape:
        is_stacked = kind == "MatMul" and len(_operand_shape(op, graph, 1)) > 2
        stacked = prod(out_shape[:-2]) if is_stacked else 1
        rows = _size(out_shape) / max(out_shape[-1] * stacked, 1)
        if stacked > 1:
            return _MatrixProduct(rows, out_shape[-1], in_shape[-1], stacked / batch)
        return _MatrixProduct(rows / batch, out_shape[-1], in_shape[-1], 1)
    if kind == "Attention" and len(in_shape) >= 3 and (key := _operand_shape(op, graph, 1)):
        return _MatrixProduct(in_shape[-2], key[-2] if len(key) > 1 else 0, in_shape[-1], prod(in_shape[:-2]) / batch)
    channels = _channels(out_shape)
    window = prod(op.attr_ints("kernel_shape", (1,)) or (1,))
    if kind.startswith(("Reduce", "Global")):
        window = _size(in_shape) // max(_size(out_shape), 1)
    return _MatrixProduct(_size(out_shape) / max(channels, 1) / batch, channels, window, 1)


def _operand_shape(op: Op, graph: OpGraph, position: int) -> tuple[int, ...]:
    name = op.inputs[position] if len(op.inputs) > position else ""
    return _shape(graph.values[name]) if name else ()


def _axis(op: Op, rank: int) -> int | None:
    axes = op.attr_ints("axis") or op.attr_ints("axes")
    if not axes or not rank:
        return None
    axis = axes[-1] + rank if axes[-1] < 0 else axes[-1]
    return axis if 0 <= axis < rank else None


def _transpose_runs(op: Op, shape: tuple[int, ...]) -> tuple[int, bool]:
    """Elements that stay next to each other under a ``Transpose``, and whether its last axis moves."""
    permutation = op.attr_ints("perm")
    if op.op_type != "Transpose" or len(permutation) != len(shape) or not shape:
        return 0, False
    run = 1
    for target, source in zip(range(len(shape) - 1, -1, -1), reversed(permutation), strict=True):
        if source != target:
            break
        run *= shape[source]
    return run, permutation[-1] != len(shape) - 1
