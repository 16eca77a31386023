"""Ways of fitting a new platform to a few measurements."""

from costmodel.calibration.strategies.averaged import Averaged
from costmodel.calibration.strategies.base import CalibrationStrategy, Fits
from costmodel.calibration.strategies.corrected import Corrected
from costmodel.calibration.strategies.mixed_platforms import MixedPlatforms
from costmodel.calibration.strategies.mixture import LogCorrection, Mixture
from costmodel.calibration.strategies.own_rates import OwnRates
from costmodel.calibration.strategies.rescaled_platform import RescaledPlatform
from costmodel.calibration.strategies.scaled_kernels import ScaledKernels

__all__ = [
    # what is fitted
    "LogCorrection",
    "Mixture",
    # how
    "Averaged",
    "CalibrationStrategy",
    "Corrected",
    "Fits",
    "MixedPlatforms",
    "OwnRates",
    "RescaledPlatform",
    "ScaledKernels",
]
