"""The tasks that the shipped weights learn from, with shapes of real networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from tvm import relax

from costmodel.errors import UnknownNameError
from costmodel.integrations.tvm.workloads.workload import Workload

__all__ = ["WORKLOADS", "find_workload", "relax_module"]

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


def _task(kind: str, name: str, source: str, shapes: Sequence[_Shape], write: _Write) -> Workload:
    return Workload(kind, f"{kind}-{name}", source, partial(relax_module, shapes, write))


# --- What is computed ---


def _matmul(x: Any, w: Any) -> Any:
    return relax.op.matmul(x, w)


def _dense_bias_gelu(x: Any, w: Any, b: Any) -> Any:
    return relax.op.nn.gelu(relax.op.add(relax.op.matmul(x, w), b))


def _dense_bias(x: Any, w: Any, b: Any) -> Any:
    return relax.op.add(relax.op.matmul(x, w), b)


def _conv(x: Any, w: Any, *, stride: int = 1, padding: int = 0, groups: int = 1) -> Any:
    return relax.op.nn.conv2d(x, w, strides=(stride, stride), padding=(padding,) * 4, groups=groups)


def _conv_bias_relu(x: Any, w: Any, b: Any, **settings: int) -> Any:
    return relax.op.nn.relu(relax.op.add(_conv(x, w, **settings), b))


def _conv_bias_add_relu(x: Any, w: Any, b: Any, y: Any, **settings: int) -> Any:
    return relax.op.nn.relu(relax.op.add(relax.op.add(_conv(x, w, **settings), b), y))


def _conv_transpose(x: Any, w: Any, *, stride: int, padding: int) -> Any:
    return relax.op.nn.conv2d_transpose(x, w, strides=(stride, stride), padding=(padding,) * 4)


def _max_pool(x: Any, *, size: int, stride: int, padding: int) -> Any:
    return relax.op.nn.max_pool2d(x, (size, size), (stride, stride), (padding,) * 4)


def _average_pool(x: Any, *, size: int, stride: int, padding: int) -> Any:
    return relax.op.nn.avg_pool2d(x, (size, size), (stride, stride), (padding,) * 4)


def _softmax(x: Any) -> Any:
    return relax.op.nn.softmax(x, axis=-1)


def _layer_norm(x: Any, scale: Any, offset: Any) -> Any:
    return relax.op.nn.layer_norm(x, scale, offset, axes=[-1])


def _reduce(x: Any, *, operation: str, axes: Sequence[int]) -> Any:
    return getattr(relax.op, operation)(x, axis=list(axes))


def _gelu(x: Any) -> Any:
    return relax.op.nn.gelu(x)


def _silu_product(x: Any, y: Any) -> Any:
    return relax.op.multiply(relax.op.nn.silu(x), y)


def _bias_add_relu(x: Any, b: Any, y: Any) -> Any:
    return relax.op.nn.relu(relax.op.add(relax.op.add(x, b), y))


# --- In which shapes ---


def _conv_task(
    kind: str, source: str, image: _Shape, out: int, kernel: int, *, stride: int = 1, groups: int = 1, tail: str = ""
) -> Workload:
    """A convolution of a ``(channels, height, width)`` image that keeps its size but for the stride."""
    channels, height, width = image
    settings = {"stride": stride, "padding": kernel // 2, "groups": groups}
    shapes: list[_Shape] = [(1, *image), (out, channels // groups, kernel, kernel)]
    write: _Write = _conv
    if tail:
        shapes.append((1, out, 1, 1))
        write = _conv_bias_relu
    if tail == "add":
        shapes.append((1, out, -(-height // stride), -(-width // stride)))
        write = _conv_bias_add_relu
    name = f"{channels}x{height}x{width}-{out}" + (f"-s{stride}" if stride > 1 else "") + (f"-{tail}" if tail else "")
    name += f"-g{groups}" if kind == "grouped" else f"-k{kernel}" if kind == "depthwise" else ""
    return _task(kind, name, source, shapes, partial(write, **settings))


def _depthwise_task(source: str, image: _Shape, kernel: int, *, stride: int = 1, tail: str = "") -> Workload:
    return _conv_task("depthwise", source, image, image[0], kernel, stride=stride, groups=image[0], tail=tail)


def _transposed_task(source: str, image: _Shape, out: int, kernel: int, padding: int) -> Workload:
    channels, height, width = image
    write = partial(_conv_transpose, stride=2, padding=padding)
    name = f"{channels}x{height}x{width}-{out}-k{kernel}"
    return _task("transposed", name, source, [(1, *image), (channels, out, kernel, kernel)], write)


WORKLOADS: tuple[Workload, ...] = (
    _task("matmul", "197x768x768", "ViT-B/16, projection", [(197, 768), (768, 768)], _matmul),
    _task("matmul", "128x512x512", "a small BERT, projection", [(128, 512), (512, 512), (512,)], _dense_bias),
    _task("matmul", "49x384x1536-gelu", "Swin-S, MLP", [(49, 384), (384, 1536), (1536,)], _dense_bias_gelu),
    _task("matmul", "1x2048x1000", "ResNet-50, classifier", [(1, 2048), (2048, 1000), (1000,)], _dense_bias),
    _task("matmul", "196x192x576", "DeiT-Ti, query-key-value", [(196, 192), (192, 576)], _matmul),
    _task("batch_matmul", "12x197x64x197", "ViT-B/16, scores", [(12, 197, 64), (12, 64, 197)], _matmul),
    _task("batch_matmul", "12x197x197x64", "ViT-B/16, values", [(12, 197, 197), (12, 197, 64)], _matmul),
    _task("batch_matmul", "64x49x32x49", "Swin-T, windows", [(64, 49, 32), (64, 32, 49)], _matmul),
    _task("batch_matmul", "8x128x128x64", "a small BERT, values", [(8, 128, 128), (8, 128, 64)], _matmul),
    _conv_task("conv1x1", "ResNet-50, stage 1", (64, 56, 56), 256, 1, tail="relu"),
    _conv_task("conv1x1", "ResNet-50, stage 3", (256, 14, 14), 1024, 1, tail="add"),
    _conv_task("conv1x1", "MobileNetV2, projection", (96, 28, 28), 24, 1),
    _conv_task("conv1x1", "MobileNetV2, head", (320, 7, 7), 1280, 1, tail="relu"),
    _conv_task("conv3x3", "ResNet-50, stage 1", (64, 56, 56), 64, 3, tail="relu"),
    _conv_task("conv3x3", "ResNet-50, stage 2", (128, 28, 28), 128, 3, tail="relu"),
    _conv_task("conv3x3", "ResNet-18, stage 3", (256, 14, 14), 256, 3, tail="add"),
    _conv_task("conv3x3", "ResNet-50, stage 4", (512, 7, 7), 512, 3),
    _conv_task("conv3x3", "MobileNetV2, stem", (3, 224, 224), 32, 3, stride=2, tail="relu"),
    _conv_task("conv3x3", "RegNetY, stem", (32, 112, 112), 32, 3, stride=2, tail="relu"),
    _conv_task("conv5x5", "AlexNet", (64, 27, 27), 192, 5, tail="relu"),
    _conv_task("conv5x5", "GoogLeNet, branch", (16, 28, 28), 32, 5, tail="relu"),
    _conv_task("conv5x5", "GoogLeNet, branch", (48, 7, 7), 128, 5),
    _conv_task("conv7x7", "ResNet-50, stem", (3, 224, 224), 64, 7, stride=2, tail="relu"),
    _conv_task("conv7x7", "DenseNet, a small stem", (3, 112, 112), 32, 7, stride=2, tail="relu"),
    _depthwise_task("MobileNetV2", (32, 112, 112), 3, tail="relu"),
    _depthwise_task("MobileNetV2", (96, 112, 112), 3, stride=2, tail="relu"),
    _depthwise_task("MnasNet", (240, 28, 28), 5),
    _depthwise_task("ConvNeXt-T", (96, 56, 56), 7),
    _depthwise_task("EfficientNet-B0", (672, 14, 14), 5, tail="relu"),
    _conv_task("grouped", "ResNeXt-50", (128, 56, 56), 128, 3, groups=32, tail="relu"),
    _conv_task("grouped", "RegNetX", (240, 28, 28), 240, 3, groups=10),
    _conv_task("grouped", "ResNeXt-50", (512, 14, 14), 512, 3, groups=32, tail="relu"),
    _transposed_task("DCGAN", (128, 14, 14), 64, 4, 1),
    _transposed_task("DCGAN", (64, 28, 28), 32, 4, 1),
    _transposed_task("U-Net", (64, 28, 28), 32, 2, 0),
    _task(
        "pool",
        "max-64x112x112",
        "ResNet-50, stem",
        [(1, 64, 112, 112)],
        partial(_max_pool, size=3, stride=2, padding=1),
    ),
    _task(
        "pool",
        "average-192x28x28",
        "Inception",
        [(1, 192, 28, 28)],
        partial(_average_pool, size=3, stride=1, padding=1),
    ),
    _task(
        "pool",
        "average-1280x7x7",
        "MobileNetV2",
        [(1, 1280, 7, 7)],
        partial(_average_pool, size=7, stride=1, padding=0),
    ),
    _task("softmax", "12x197x197", "ViT-B/16", [(12, 197, 197)], _softmax),
    _task("softmax", "1024x1000", "a classifier, in large batches", [(1024, 1000)], _softmax),
    _task("layer_norm", "197x768", "ViT-B/16", [(197, 768), (768,), (768,)], _layer_norm),
    _task("layer_norm", "3136x96", "Swin-T", [(3136, 96), (96,), (96,)], _layer_norm),
    _task(
        "reduction",
        "mean-256x28x28",
        "squeeze and excitation",
        [(1, 256, 28, 28)],
        partial(_reduce, operation="mean", axes=(2, 3)),
    ),
    _task("reduction", "sum-512x1024", "attention, rows", [(512, 1024)], partial(_reduce, operation="sum", axes=(1,))),
    _task(
        "reduction", "max-1024x512", "pooling over points", [(1024, 512)], partial(_reduce, operation="max", axes=(0,))
    ),
    _task("elementwise", "gelu-197x3072", "ViT-B/16, MLP", [(197, 3072)], _gelu),
    _task("elementwise", "silu-product-96x56x56", "gated units", [(1, 96, 56, 56), (1, 96, 56, 56)], _silu_product),
    _task(
        "elementwise",
        "add-relu-256x56x56",
        "ResNet-50",
        [(1, 256, 56, 56), (1, 256, 1, 1), (1, 256, 56, 56)],
        _bias_add_relu,
    ),
)
"""Forty-eight tasks of fourteen kinds, each of at most a quarter of a GFLOP: milliseconds on one core when tuned."""


def find_workload(name: str) -> Workload:
    """The workload called ``name``.

    Raises:
        UnknownNameError: There is none.
    """
    for workload in WORKLOADS:
        if workload.name == name:
            return workload
    raise UnknownNameError("workload", name, (workload.name for workload in WORKLOADS))
