"""A new device: what it costs to run a model there, measured."""

from costmodel.calibration.campaign import Campaign, Progress
from costmodel.calibration.measurers import Measurer, OnnxRuntimeMeasurer, RunTimes, VisitTiming
from costmodel.calibration.sources import FamilyNetwork, ModelSource, OnnxFile
from costmodel.calibration.weights import fill_weights

__all__ = [
    # Campaigns
    "Campaign",
    "Progress",
    # Models to measure
    "FamilyNetwork",
    "ModelSource",
    "OnnxFile",
    "fill_weights",
    # Ways of timing
    "Measurer",
    "OnnxRuntimeMeasurer",
    "RunTimes",
    "VisitTiming",
]
