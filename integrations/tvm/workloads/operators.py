"""Operators that networks are made of, in any shape, as tuning tasks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from tvm import relax

from costmodel.integrations.tvm.workloads.workload import Workload

__all__ = [
    "average_pool",
    "batch_matmul_task",
    "bias_add_relu",
    "conv",
    "conv1d",
    "conv1d_task",
    "conv3d",
    "conv3d_task",
    "conv_bias_add_relu",
    "conv_bias_relu",
    "conv_task",
    "conv_transpose",
    "dense_bias",
    "dense_bias_gelu",
    "depthwise_task",
    "dilated_conv",
    "dilated_task",
    "gelu",
    "group_norm",
    "instance_norm",
    "layer_norm",
    "log_softmax",
    "matmul",
    "matmul_task",
    "max_pool",
    "norm_task",
    "pool_task",
    "reduce",
    "reduction_task",
    "relax_module",
    "rms_norm",
    "silu_product",
    "softmax",
    "softmax_task",
    "task",
    "transposed_task",
]

_Shape = tuple[int, ...]
_Write = Callable[..., Any]


def relax_module(shapes: Sequence[_Shape], write: _Write) -> Any:
    """A Relax module that applies ``write`` to inputs of these shapes, of 32-bit floats."""
    builder = relax.BlockBuilder()
    inputs = [relax.Var(f"x{index}", relax.TensorType(shape, "float32")) for index, shape in enumerate(shapes)]
    with builder.function("main", inputs):
        with builder.dataflow():
            output = builder.emit_output(write(*inputs))
        builder.emit_func_output(output)
    return builder.get()


def task(kind: str, name: str, source: str, shapes: Sequence[_Shape], write: _Write) -> Workload:
    """A task of one operator; ``write`` gets a variable for each of the shapes."""
    return Workload(kind, f"{kind}-{name}", source, partial(relax_module, shapes, write))


# --- What is computed ---


def matmul(x: Any, w: Any) -> Any:
    """Product of matrices."""
    return relax.op.matmul(x, w)


def dense_bias_gelu(x: Any, w: Any, b: Any) -> Any:
    """Product of matrices, bias, GELU."""
    return relax.op.nn.gelu(relax.op.add(relax.op.matmul(x, w), b))


def dense_bias(x: Any, w: Any, b: Any) -> Any:
    """Product of matrices, bias."""
    return relax.op.add(relax.op.matmul(x, w), b)


def conv(x: Any, w: Any, *, stride: int = 1, padding: int = 0, groups: int = 1) -> Any:
    """Convolution of an image."""
    return relax.op.nn.conv2d(x, w, strides=(stride, stride), padding=(padding,) * 4, groups=groups)


def conv_bias_relu(x: Any, w: Any, b: Any, **settings: int) -> Any:
    """Convolution, bias, ReLU."""
    return relax.op.nn.relu(relax.op.add(conv(x, w, **settings), b))


def conv_bias_add_relu(x: Any, w: Any, b: Any, y: Any, **settings: int) -> Any:
    """Convolution, bias, residual, ReLU."""
    return relax.op.nn.relu(relax.op.add(relax.op.add(conv(x, w, **settings), b), y))


def conv_transpose(x: Any, w: Any, *, stride: int, padding: int) -> Any:
    """Transposed convolution."""
    return relax.op.nn.conv2d_transpose(x, w, strides=(stride, stride), padding=(padding,) * 4)


def max_pool(x: Any, *, size: int, stride: int, padding: int) -> Any:
    """Maximum of windows."""
    return relax.op.nn.max_pool2d(x, (size, size), (stride, stride), (padding,) * 4)


def average_pool(x: Any, *, size: int, stride: int, padding: int) -> Any:
    """Mean of windows."""
    return relax.op.nn.avg_pool2d(x, (size, size), (stride, stride), (padding,) * 4)


def softmax(x: Any) -> Any:
    """Along the last axis."""
    return relax.op.nn.softmax(x, axis=-1)


def layer_norm(x: Any, scale: Any, offset: Any) -> Any:
    """Along the last axis."""
    return relax.op.nn.layer_norm(x, scale, offset, axes=[-1])


def reduce(x: Any, *, operation: str, axes: Sequence[int]) -> Any:
    """One of Relax's reductions, by its name."""
    return getattr(relax.op, operation)(x, axis=list(axes))


def gelu(x: Any) -> Any:
    """Element by element."""
    return relax.op.nn.gelu(x)


def conv1d(x: Any, w: Any, b: Any, *, stride: int = 1, padding: int = 0) -> Any:
    """Convolution of a signal, bias, ReLU."""
    return relax.op.nn.relu(relax.op.add(relax.op.nn.conv1d(x, w, strides=stride, padding=(padding, padding)), b))


def conv3d(x: Any, w: Any, *, padding: int = 0) -> Any:
    """Convolution of a video."""
    return relax.op.nn.conv3d(x, w, strides=(1, 1, 1), padding=(padding,) * 6)


def dilated_conv(x: Any, w: Any, b: Any, *, dilation: int) -> Any:
    """Convolution with gaps, bias, ReLU."""
    convolved = relax.op.nn.conv2d(x, w, padding=(dilation,) * 4, dilation=(dilation, dilation))
    return relax.op.nn.relu(relax.op.add(convolved, b))


def log_softmax(x: Any) -> Any:
    """Along the last axis."""
    return relax.op.nn.log_softmax(x, axis=-1)


def rms_norm(x: Any, scale: Any) -> Any:
    """Along the last axis."""
    return relax.op.nn.rms_norm(x, scale, axes=[-1])


def group_norm(x: Any, scale: Any, offset: Any, *, groups: int) -> Any:
    """Of groups of channels of an image."""
    return relax.op.nn.group_norm(x, scale, offset, groups, channel_axis=1, axes=[2, 3])


def instance_norm(x: Any, scale: Any, offset: Any) -> Any:
    """Of each channel of an image."""
    return relax.op.nn.instance_norm(x, scale, offset, channel_axis=1, axes=[2, 3])


def silu_product(x: Any, y: Any) -> Any:
    """A gate: the SiLU of one times the other."""
    return relax.op.multiply(relax.op.nn.silu(x), y)


def bias_add_relu(x: Any, b: Any, y: Any) -> Any:
    """Bias, residual, ReLU."""
    return relax.op.nn.relu(relax.op.add(relax.op.add(x, b), y))


# --- In which shapes ---


def conv_task(
    kind: str, source: str, image: _Shape, out: int, kernel: int, *, stride: int = 1, groups: int = 1, tail: str = ""
) -> Workload:
    """A convolution of a ``(channels, height, width)`` image that keeps its size but for the stride."""
    channels, height, width = image
    settings = {"stride": stride, "padding": kernel // 2, "groups": groups}
    shapes: list[_Shape] = [(1, *image), (out, channels // groups, kernel, kernel)]
    write: _Write = conv
    if tail:
        shapes.append((1, out, 1, 1))
        write = conv_bias_relu
    if tail == "add":
        shapes.append((1, out, -(-height // stride), -(-width // stride)))
        write = conv_bias_add_relu
    name = f"{channels}x{height}x{width}-{out}" + (f"-s{stride}" if stride > 1 else "") + (f"-{tail}" if tail else "")
    name += f"-g{groups}" if kind == "grouped" else f"-k{kernel}" if kind == "depthwise" else ""
    return task(kind, name, source, shapes, partial(write, **settings))


def depthwise_task(source: str, image: _Shape, kernel: int, *, stride: int = 1, tail: str = "") -> Workload:
    """A convolution of each channel by itself."""
    return conv_task("depthwise", source, image, image[0], kernel, stride=stride, groups=image[0], tail=tail)


def transposed_task(source: str, image: _Shape, out: int, kernel: int, padding: int) -> Workload:
    """A transposed convolution that doubles the sides of an image."""
    channels, height, width = image
    write = partial(conv_transpose, stride=2, padding=padding)
    name = f"{channels}x{height}x{width}-{out}-k{kernel}"
    return task("transposed", name, source, [(1, *image), (channels, out, kernel, kernel)], write)


def matmul_task(source: str, rows: int, inner: int, columns: int, tail: str = "") -> Workload:
    """A product of matrices; ``tail`` is what follows: nothing, ``bias`` or ``gelu``."""
    shapes: list[_Shape] = [(rows, inner), (inner, columns)] + [(columns,)] * bool(tail)
    writes: dict[str, _Write] = {"": matmul, "bias": dense_bias, "gelu": dense_bias_gelu}
    return task("matmul", f"{rows}x{inner}x{columns}" + (f"-{tail}" if tail else ""), source, shapes, writes[tail])


def batch_matmul_task(source: str, batch: int, rows: int, inner: int, columns: int) -> Workload:
    """Products of matrices in a batch."""
    shapes = [(batch, rows, inner), (batch, inner, columns)]
    return task("batch_matmul", f"{batch}x{rows}x{inner}x{columns}", source, shapes, matmul)


def pool_task(source: str, image: _Shape, how: str, size: int, *, stride: int, padding: int = 0) -> Workload:
    """Pooling, ``max`` or ``average``."""
    channels, height, width = image
    write = {"max": max_pool, "average": average_pool}[how]
    name = f"{how}-{channels}x{height}x{width}-k{size}-s{stride}"
    return task("pool", name, source, [(1, *image)], partial(write, size=size, stride=stride, padding=padding))


def conv1d_task(source: str, signal: _Shape, out: int, kernel: int, *, stride: int = 1) -> Workload:
    """A convolution of a ``(channels, length)`` signal, with bias and ReLU."""
    channels, length = signal
    shapes: list[_Shape] = [(1, *signal), (out, channels, kernel), (1, out, 1)]
    name = f"{channels}x{length}-{out}-k{kernel}-s{stride}"
    return task("conv1d", name, source, shapes, partial(conv1d, stride=stride, padding=kernel // 2))


def conv3d_task(source: str, video: _Shape, out: int, kernel: int) -> Workload:
    """A convolution of a ``(channels, frames, height, width)`` video."""
    shapes: list[_Shape] = [(1, *video), (out, video[0], kernel, kernel, kernel)]
    name = "x".join(map(str, video)) + f"-{out}-k{kernel}"
    return task("conv3d", name, source, shapes, partial(conv3d, padding=kernel // 2))


def dilated_task(source: str, image: _Shape, out: int, dilation: int) -> Workload:
    """A 3 x 3 convolution with gaps."""
    channels, height, width = image
    shapes: list[_Shape] = [(1, *image), (out, channels, 3, 3), (1, out, 1, 1)]
    name = f"{channels}x{height}x{width}-{out}-d{dilation}"
    return task("dilated", name, source, shapes, partial(dilated_conv, dilation=dilation))


def norm_task(kind: str, source: str, shape: _Shape, *, groups: int = 0) -> Workload:
    """Layer, RMS, group or instance normalisation; a scale, and but for RMS an offset, a channel or feature."""
    per_feature = kind in ("layer_norm", "rms_norm")
    scale = (shape[-1],) if per_feature else (shape[1],)
    shapes = [shape, scale] if kind == "rms_norm" else [shape, scale, scale]
    norms: dict[str, _Write] = {
        "layer_norm": layer_norm,
        "rms_norm": rms_norm,
        "group_norm": partial(group_norm, groups=groups),
        "instance_norm": instance_norm,
    }
    return task(kind, "x".join(map(str, shape)) + (f"-g{groups}" if groups else ""), source, shapes, norms[kind])


def reduction_task(source: str, operation: str, shape: _Shape, axes: Sequence[int]) -> Workload:
    """A sum, mean, maximum or the like along some axes."""
    name = f"{operation}-" + "x".join(map(str, shape)) + "-a" + "".join(map(str, axes))
    return task("reduction", name, source, [shape], partial(reduce, operation=operation, axes=axes))


def softmax_task(kind: str, source: str, shape: _Shape) -> Workload:
    """``softmax`` or ``log_softmax`` along the last axis."""
    write = {"softmax": softmax, "log_softmax": log_softmax}[kind]
    return task(kind, "x".join(map(str, shape)), source, [shape], write)
