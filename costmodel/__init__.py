"""Predict a network's latency, with an interval, on a platform you name.

>>> from costmodel import Predictor
>>> print(Predictor.from_pretrained().predict("model.onnx", "rtx3090-pt2.4-amp-nhwc"))  # doctest: +SKIP

Names are imported when first used, so that ``import costmodel`` loads neither torch nor onnx.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from costmodel.errors import CostModelError
    from costmodel.platforms import Platform, PlatformRegistry
    from costmodel.prediction import OpPrediction, Prediction, PredictionFailure
    from costmodel.predictor import Predictor

__all__ = [
    # predict
    "OpPrediction",
    "Prediction",
    "PredictionFailure",
    "Predictor",
    # platforms
    "Platform",
    "PlatformRegistry",
    # errors
    "CostModelError",
]

_HOMES = {
    "CostModelError": "costmodel.errors",
    "OpPrediction": "costmodel.prediction",
    "Platform": "costmodel.platforms",
    "PlatformRegistry": "costmodel.platforms",
    "Prediction": "costmodel.prediction",
    "PredictionFailure": "costmodel.prediction",
    "Predictor": "costmodel.predictor",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
