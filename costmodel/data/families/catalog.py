"""The families by name."""

from __future__ import annotations

from onnx import ModelProto

from costmodel.data.families.alexnet import AlexNet
from costmodel.data.families.efficientnet import EfficientNet
from costmodel.data.families.family import Family
from costmodel.data.families.googlenet import GoogLeNet
from costmodel.data.families.mnasnet import MnasNet
from costmodel.data.families.mobilenet_v2 import MobileNetV2
from costmodel.data.families.mobilenet_v3 import MobileNetV3
from costmodel.data.families.nasbench201 import NASBench201
from costmodel.data.families.resnet import ResNet
from costmodel.data.families.squeezenet import SqueezeNet
from costmodel.data.families.vgg import VGG
from costmodel.errors import UnknownNameError

__all__ = ["FAMILIES", "generate"]

_BY_NAME: dict[str, Family] = {
    family.name: family
    for family in (
        AlexNet(),
        VGG(),
        ResNet(),
        SqueezeNet(),
        GoogLeNet(),
        EfficientNet(),
        MobileNetV2(),
        MobileNetV3(),
        MnasNet(),
        NASBench201(),
    )
}

FAMILIES: tuple[str, ...] = tuple(_BY_NAME)
"""Names that :func:`generate` knows."""


def generate(family: str, seed: int, *, batch: int = 1, weights: bool = True) -> ModelProto:
    """One variant of ``family``; see :meth:`Family.generate`.

    Raises:
        UnknownNameError: No family has this name.
        UsageError: A negative seed or a batch below one.
    """
    if family not in _BY_NAME:
        raise UnknownNameError("network family", family, FAMILIES)
    return _BY_NAME[family].generate(seed, batch=batch, weights=weights)
