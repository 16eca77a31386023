"""A new device: what it costs to run a model there, measured.

Names are imported when first used, so that listing the command ``costmodel measure`` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costmodel.lazy import lazy_names

if TYPE_CHECKING:
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

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Campaign": "costmodel.calibration.campaign",
        "FamilyNetwork": "costmodel.calibration.sources",
        "Measurer": "costmodel.calibration.measurers",
        "ModelSource": "costmodel.calibration.sources",
        "OnnxFile": "costmodel.calibration.sources",
        "OnnxRuntimeMeasurer": "costmodel.calibration.measurers",
        "Progress": "costmodel.calibration.campaign",
        "RunTimes": "costmodel.calibration.measurers",
        "VisitTiming": "costmodel.calibration.measurers",
        "fill_weights": "costmodel.calibration.weights",
    },
)
