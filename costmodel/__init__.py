"""Predict a network's latency, with an interval, on a platform you name.

>>> from costmodel import Predictor
>>> print(Predictor.from_pretrained().predict("model.onnx", "rtx3090-pt2.4-amp-nhwc"))  # doctest: +SKIP

Names are imported when first used, so that ``import costmodel`` loads neither torch nor onnx.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costmodel.lazy import lazy_names

if TYPE_CHECKING:
    from costmodel.accuracy_predictor import AccuracyPredictor, fit_accuracy
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
    # accuracies of architectures
    "AccuracyPredictor",
    "fit_accuracy",
    # platforms
    "Platform",
    "PlatformRegistry",
    # errors
    "CostModelError",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "AccuracyPredictor": "costmodel.accuracy_predictor",
        "CostModelError": "costmodel.errors",
        "OpPrediction": "costmodel.prediction",
        "Platform": "costmodel.platforms",
        "PlatformRegistry": "costmodel.platforms",
        "Prediction": "costmodel.prediction",
        "PredictionFailure": "costmodel.prediction",
        "Predictor": "costmodel.predictor",
        "fit_accuracy": "costmodel.accuracy_predictor",
    },
)
