"""The tasks that models are trained and compared on, with shapes of real networks."""

from __future__ import annotations

from functools import partial

from costmodel.errors import UnknownNameError
from costmodel.integrations.tvm.workloads.operators import (
    average_pool,
    bias_add_relu,
    conv_task,
    dense_bias,
    dense_bias_gelu,
    depthwise_task,
    gelu,
    layer_norm,
    matmul,
    max_pool,
    reduce,
    silu_product,
    softmax,
    task,
    transposed_task,
)
from costmodel.integrations.tvm.workloads.wide_catalog import WIDE_WORKLOADS
from costmodel.integrations.tvm.workloads.workload import Workload

__all__ = ["WORKLOADS", "find_workload"]

WORKLOADS: tuple[Workload, ...] = (
    task("matmul", "197x768x768", "ViT-B/16, projection", [(197, 768), (768, 768)], matmul),
    task("matmul", "128x512x512", "a small BERT, projection", [(128, 512), (512, 512), (512,)], dense_bias),
    task("matmul", "49x384x1536-gelu", "Swin-S, MLP", [(49, 384), (384, 1536), (1536,)], dense_bias_gelu),
    task("matmul", "1x2048x1000", "ResNet-50, classifier", [(1, 2048), (2048, 1000), (1000,)], dense_bias),
    task("matmul", "196x192x576", "DeiT-Ti, query-key-value", [(196, 192), (192, 576)], matmul),
    task("batch_matmul", "12x197x64x197", "ViT-B/16, scores", [(12, 197, 64), (12, 64, 197)], matmul),
    task("batch_matmul", "12x197x197x64", "ViT-B/16, values", [(12, 197, 197), (12, 197, 64)], matmul),
    task("batch_matmul", "64x49x32x49", "Swin-T, windows", [(64, 49, 32), (64, 32, 49)], matmul),
    task("batch_matmul", "8x128x128x64", "a small BERT, values", [(8, 128, 128), (8, 128, 64)], matmul),
    conv_task("conv1x1", "ResNet-50, stage 1", (64, 56, 56), 256, 1, tail="relu"),
    conv_task("conv1x1", "ResNet-50, stage 3", (256, 14, 14), 1024, 1, tail="add"),
    conv_task("conv1x1", "MobileNetV2, projection", (96, 28, 28), 24, 1),
    conv_task("conv1x1", "MobileNetV2, head", (320, 7, 7), 1280, 1, tail="relu"),
    conv_task("conv3x3", "ResNet-50, stage 1", (64, 56, 56), 64, 3, tail="relu"),
    conv_task("conv3x3", "ResNet-50, stage 2", (128, 28, 28), 128, 3, tail="relu"),
    conv_task("conv3x3", "ResNet-18, stage 3", (256, 14, 14), 256, 3, tail="add"),
    conv_task("conv3x3", "ResNet-50, stage 4", (512, 7, 7), 512, 3),
    conv_task("conv3x3", "MobileNetV2, stem", (3, 224, 224), 32, 3, stride=2, tail="relu"),
    conv_task("conv3x3", "RegNetY, stem", (32, 112, 112), 32, 3, stride=2, tail="relu"),
    conv_task("conv5x5", "AlexNet", (64, 27, 27), 192, 5, tail="relu"),
    conv_task("conv5x5", "GoogLeNet, branch", (16, 28, 28), 32, 5, tail="relu"),
    conv_task("conv5x5", "GoogLeNet, branch", (48, 7, 7), 128, 5),
    conv_task("conv7x7", "ResNet-50, stem", (3, 224, 224), 64, 7, stride=2, tail="relu"),
    conv_task("conv7x7", "DenseNet, a small stem", (3, 112, 112), 32, 7, stride=2, tail="relu"),
    depthwise_task("MobileNetV2", (32, 112, 112), 3, tail="relu"),
    depthwise_task("MobileNetV2", (96, 112, 112), 3, stride=2, tail="relu"),
    depthwise_task("MnasNet", (240, 28, 28), 5),
    depthwise_task("ConvNeXt-T", (96, 56, 56), 7),
    depthwise_task("EfficientNet-B0", (672, 14, 14), 5, tail="relu"),
    conv_task("grouped", "ResNeXt-50", (128, 56, 56), 128, 3, groups=32, tail="relu"),
    conv_task("grouped", "RegNetX", (240, 28, 28), 240, 3, groups=10),
    conv_task("grouped", "ResNeXt-50", (512, 14, 14), 512, 3, groups=32, tail="relu"),
    transposed_task("DCGAN", (128, 14, 14), 64, 4, 1),
    transposed_task("DCGAN", (64, 28, 28), 32, 4, 1),
    transposed_task("U-Net", (64, 28, 28), 32, 2, 0),
    task(
        "pool",
        "max-64x112x112",
        "ResNet-50, stem",
        [(1, 64, 112, 112)],
        partial(max_pool, size=3, stride=2, padding=1),
    ),
    task(
        "pool",
        "average-192x28x28",
        "Inception",
        [(1, 192, 28, 28)],
        partial(average_pool, size=3, stride=1, padding=1),
    ),
    task(
        "pool",
        "average-1280x7x7",
        "MobileNetV2",
        [(1, 1280, 7, 7)],
        partial(average_pool, size=7, stride=1, padding=0),
    ),
    task("softmax", "12x197x197", "ViT-B/16", [(12, 197, 197)], softmax),
    task("softmax", "1024x1000", "a classifier, in large batches", [(1024, 1000)], softmax),
    task("layer_norm", "197x768", "ViT-B/16", [(197, 768), (768,), (768,)], layer_norm),
    task("layer_norm", "3136x96", "Swin-T", [(3136, 96), (96,), (96,)], layer_norm),
    task(
        "reduction",
        "mean-256x28x28",
        "squeeze and excitation",
        [(1, 256, 28, 28)],
        partial(reduce, operation="mean", axes=(2, 3)),
    ),
    task("reduction", "sum-512x1024", "attention, rows", [(512, 1024)], partial(reduce, operation="sum", axes=(1,))),
    task(
        "reduction", "max-1024x512", "pooling over points", [(1024, 512)], partial(reduce, operation="max", axes=(0,))
    ),
    task("elementwise", "gelu-197x3072", "ViT-B/16, MLP", [(197, 3072)], gelu),
    task("elementwise", "silu-product-96x56x56", "gated units", [(1, 96, 56, 56), (1, 96, 56, 56)], silu_product),
    task(
        "elementwise",
        "add-relu-256x56x56",
        "ResNet-50",
        [(1, 256, 56, 56), (1, 256, 1, 1), (1, 256, 56, 56)],
        bias_add_relu,
    ),
)
"""Forty-eight tasks of fourteen kinds, each of at most a quarter of a GFLOP: milliseconds on one core when tuned."""


def find_workload(name: str) -> Workload:
    """The workload called ``name``, of this catalogue or the wide one.

    Raises:
        UnknownNameError: There is none.
    """
    known = {workload.name: workload for workload in (*WORKLOADS, *WIDE_WORKLOADS)}
    if name not in known:
        raise UnknownNameError("workload", name, known)
    return known[name]
