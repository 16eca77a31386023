from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from costmodel.features import FEATURE_NAMES, build_features
from costmodel.features.kernel_class import KernelClass
from costmodel.graph import load_graph


def classes_of(module: nn.Module, *shape: int) -> list[KernelClass]:
    features = build_features(load_graph(module.eval(), example_inputs=(torch.zeros(shape),)))
    return [KernelClass(kernel) for kernel in features.kernels]


@pytest.mark.parametrize(
    ("module", "kernel"),
    [
        (nn.Conv2d(16, 32, 3, padding=1), KernelClass.CONV),
        (nn.Conv2d(16, 32, 1), KernelClass.POINTWISE_CONV),
        (nn.Conv2d(16, 32, 3, groups=4), KernelClass.GROUPED_CONV),
        (nn.Conv2d(16, 16, 3, groups=16), KernelClass.DEPTHWISE_CONV),
        (nn.Conv2d(16, 32, 8), KernelClass.CONV),
        (nn.Conv2d(16, 30, 3), KernelClass.UNALIGNED_CONV),
        (nn.Conv2d(16, 30, 1), KernelClass.UNALIGNED_CONV),
        (nn.AdaptiveAvgPool2d(1), KernelClass.REDUCTION),
        (nn.MaxPool2d(2), KernelClass.POOLING),
        (nn.GroupNorm(4, 16), KernelClass.GROUP_NORM),
        (nn.LayerNorm(8), KernelClass.LAYER_NORM),
        (nn.Linear(8, 12), KernelClass.MATMUL),
        (nn.GELU(), KernelClass.ELEMENTWISE),
    ],
)
def test_the_class_of_an_operation(module: nn.Module, kernel: KernelClass):
    assert classes_of(module, 1, 16, 8, 8) == [kernel]


def test_odd_channels_have_kernels_of_their_own_but_not_a_first_convolution():
    depthwise = nn.Conv2d(6, 6, 3, groups=6)
    assert classes_of(depthwise, 1, 6, 8, 8) == [KernelClass.UNALIGNED_DEPTHWISE_CONV]
    assert classes_of(nn.Conv2d(3, 16, 3), 1, 3, 8, 8) == [KernelClass.CONV]


def test_one_row_an_image_is_a_vector_product_and_two_activations_are_a_batched_one():
    class Product(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x @ x.transpose(-1, -2)

    assert classes_of(nn.Linear(8, 12), 4, 8) == [KernelClass.VECTOR_PRODUCT]
    assert KernelClass.BATCHED_MATMUL in classes_of(Product(), 1, 2, 8, 8)


class StandardisedConv(nn.Conv2d):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = self.weight.reshape(1, self.out_channels, -1)
        weight = functional.batch_norm(rows, None, None, training=True).reshape_as(self.weight)
        return functional.conv2d(x, weight, self.bias, padding=1)


def test_work_on_weights_has_a_class_of_its_own_and_does_not_grow_with_the_batch():
    module = StandardisedConv(64, 64, 3)
    assert classes_of(module, 1, 64, 8, 8) == [KernelClass.ON_WEIGHTS, KernelClass.CONV]
    one, four = (build_features(load_graph(module, example_inputs=(torch.zeros(batch, 64, 8, 8),))) for batch in (1, 4))
    assert one.work[0].tolist() == four.work[0].tolist()
    assert one.tokens[0].tolist() == four.tokens[0].tolist()
    assert one.work[1, 2] == 4 * (64 * 64 * 9 + 64)
    assert one.tokens[:, FEATURE_NAMES.index("is_on_weights")].tolist() == [1.0, 0.0]
