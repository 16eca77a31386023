"""Labels in, fitted models out: losses, metrics and the one training loop."""

from costmodel.training.cross_fit import CrossFit, cross_fit
from costmodel.training.loop import FitConfig, fit, predict_log_ms
from costmodel.training.metrics import accuracy_within, interval_coverage, kendall_tau, mape_percent
from costmodel.training.report import PlatformError, TrainingReport, error_quantile, platform_errors
from costmodel.training.train import train
from costmodel.training.training_set import TrainingSet

__all__ = [
    # a whole run
    "TrainingReport",
    "train",
    # its parts
    "CrossFit",
    "FitConfig",
    "TrainingSet",
    "cross_fit",
    "fit",
    "predict_log_ms",
    # how far off
    "PlatformError",
    "accuracy_within",
    "error_quantile",
    "interval_coverage",
    "kendall_tau",
    "mape_percent",
    "platform_errors",
]
