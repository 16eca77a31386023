"""The element-wise functions that the families put between their layers."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Activation"]


class Activation(StrEnum):
    """An element-wise non-linearity, as an exporter would write it in ONNX."""

    RELU = "relu"
    RELU6 = "relu6"
    """``Clip`` to [0, 6]."""
    LEAKY_RELU = "leaky_relu"
    SWISH = "swish"
    """``x · sigmoid(x)``, written as ``Sigmoid`` and ``Mul``."""
    HARD_SWISH = "hard_swish"
    SIGMOID = "sigmoid"
    HARD_SIGMOID = "hard_sigmoid"
    """``clip(x / 6 + 1/2, 0, 1)``."""
