"""The ONNX operators that can be had in torch, each by the call that a torch user would have written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isclose, prod

import onnx
import torch
from torch import Tensor, fx
from torch.nn import functional as F  # noqa: N812  # its usual name

from costmodel.calibration.measurers.torch_operator import Operator
from costmodel.calibration.measurers.torch_windows import average_pool, convolve, max_pool

__all__ = ["OPERATORS"]


def _direct(function: Callable[..., Tensor]) -> Callable[..., fx.Node]:
    """An operator without attributes that torch has under another name."""

    def translate(op: Operator, *inputs: fx.Node) -> fx.Node:
        return op.call(function, *inputs)

    return translate


def _batch_normalization(
    op: Operator, x: fx.Node, scale: fx.Node, bias: fx.Node, mean: fx.Node, variance: fx.Node
) -> fx.Node:
    op.expect(training_mode=0)
    op.attribute("momentum", 0.9)  # of training
    epsilon = op.attribute("epsilon", 1e-5)
    return op.call(F.batch_norm, x, mean, variance, scale, bias, training=False, eps=epsilon)


def _clip(op: Operator, x: fx.Node, *_bounds: fx.Node | None) -> fx.Node:
    low, high = (None if bound is None else bound.item() for bound in (op.constant(1), op.constant(2)))
    return x if low is None and high is None else op.call(torch.clamp, x, low, high)


def _concat(op: Operator, *inputs: fx.Node) -> fx.Node:
    return op.call(torch.cat, inputs, dim=op.attribute("axis", 0))


def _constant(op: Operator) -> fx.Node:
    value = op.attribute("value", None)
    if value is None:
        raise op.refused("it is not given as a tensor")
    return op.weight(torch.tensor(onnx.numpy_helper.to_array(value)))


def _flatten(op: Operator, x: fx.Node) -> fx.Node:
    axis = op.attribute("axis", 1)
    if axis == 1:
        return op.call(torch.flatten, x, 1)
    shape = op.shape(0)
    return op.call(torch.reshape, x, (prod(shape[:axis]), prod(shape[axis:])))


def _gemm(op: Operator, left: fx.Node, right: fx.Node, bias: fx.Node | None = None) -> fx.Node:
    op.expect(alpha=1.0, beta=1.0)
    left = op.call(torch.t, left) if op.attribute("transA", 0) else left
    right = right if op.attribute("transB", 0) else op.call(torch.t, right)
    return op.call(F.linear, left, right, bias)


def _global_average_pool(op: Operator, x: fx.Node) -> fx.Node:
    if len(op.shape(0)) == 4:
        return op.call(F.adaptive_avg_pool2d, x, 1)
    return op.call(torch.mean, x, dim=tuple(range(2, len(op.shape(0)))), keepdim=True)


def _hard_sigmoid(op: Operator, x: fx.Node) -> fx.Node:
    slope, offset = op.attribute("alpha", 0.2), op.attribute("beta", 0.5)
    if isclose(slope, 1 / 6, rel_tol=1e-6) and offset == 0.5:
        return op.call(F.hardsigmoid, x)
    return op.call(torch.clamp, op.call(torch.add, op.call(torch.mul, x, slope), offset), 0.0, 1.0)


def _leaky_relu(op: Operator, x: fx.Node) -> fx.Node:
    return op.call(F.leaky_relu, x, op.attribute("alpha", 0.01))


def _local_response_normalization(op: Operator, x: fx.Node) -> fx.Node:
    size = op.attribute("size", 1)
    if size % 2 == 0:
        raise op.refused(f"size={size}: the middle of an even number of channels is another one in torch")
    alpha, beta, bias = op.attribute("alpha", 1e-4), op.attribute("beta", 0.75), op.attribute("bias", 1.0)
    return op.call(F.local_response_norm, x, size, alpha=alpha, beta=beta, k=bias)


def _multiply(op: Operator, left: fx.Node, right: fx.Node) -> fx.Node:
    """``x * Sigmoid(x)`` has no operator in ONNX, but a function in torch."""
    for x, gate in ((left, right), (right, left)):
        if gate.target is torch.sigmoid and gate.args == (x,):
            return op.call(F.silu, x)
    return op.call(torch.mul, left, right)


def _reduce_mean(op: Operator, x: fx.Node, _axes: fx.Node | None = None) -> fx.Node:
    op.expect(noop_with_empty_axes=0)
    in_operand = op.constant(1)  # since opset 18
    axes = op.attribute("axes", []) if in_operand is None else in_operand.tolist()
    return op.call(torch.mean, x, dim=tuple(axes or range(len(op.shape(0)))), keepdim=bool(op.attribute("keepdims", 1)))


def _reshape(op: Operator, x: fx.Node, _shape: fx.Node) -> fx.Node:
    op.expect(allowzero=0)
    wanted = op.constant(1)
    sizes = [] if wanted is None else wanted.tolist()
    return op.call(torch.reshape, x, tuple(size or op.shape(0)[axis] for axis, size in enumerate(sizes)))


def _softmax(op: Operator, x: fx.Node) -> fx.Node:
    return op.call(torch.softmax, x, dim=op.attribute("axis", -1))


OPERATORS: Mapping[str, Callable[..., fx.Node]] = {
    "Add": _direct(torch.add),
    "AveragePool": average_pool,
    "BatchNormalization": _batch_normalization,
    "Clip": _clip,
    "Concat": _concat,
    "Constant": _constant,
    "Conv": convolve,
    "Flatten": _flatten,
    "Gemm": _gemm,
    "GlobalAveragePool": _global_average_pool,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _direct(F.hardswish),
    "LRN": _local_response_normalization,
    "LeakyRelu": _leaky_relu,
    "MatMul": _direct(torch.matmul),
    "MaxPool": max_pool,
    "Mul": _multiply,
    "ReduceMean": _reduce_mean,
    "Relu": _direct(F.relu),
    "Reshape": _reshape,
    "Sigmoid": _direct(torch.sigmoid),
    "Softmax": _softmax,
}
"""Each takes an :class:`~costmodel.calibration.measurers.torch_operator.Operator` and its operands, and returns the
output.  What the families of :mod:`costmodel.data.families` use, and what exporters write in place of it."""
