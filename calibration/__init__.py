"""A new device: choose networks, measure them there, fit a platform to that, and say how far to trust it.

Names are imported when first used, so that listing the commands of this room costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costmodel.lazy import lazy_names

if TYPE_CHECKING:
    from costmodel.calibration.adaptation import Adaptation, adapt
    from costmodel.calibration.calibration import Calibration, calibrate
    from costmodel.calibration.campaign import Campaign, Progress
    from costmodel.calibration.candidates import CandidatePool, candidate_networks
    from costmodel.calibration.measurement import Measurement
    from costmodel.calibration.measurers import (
        Measurer,
        OnnxRuntimeMeasurer,
        RunTimes,
        TorchMeasurer,
        TvmRpcMeasurer,
        VisitTiming,
    )
    from costmodel.calibration.network_profiles import NetworkProfiles
    from costmodel.calibration.profiling import ModelProfile, Profiler
    from costmodel.calibration.selection import SelectionStrategy, selection_for
    from costmodel.calibration.sources import FamilyNetwork, ModelSource, OnnxFile
    from costmodel.calibration.strategies import CalibrationStrategy
    from costmodel.calibration.weights import fill_weights

__all__ = [
    # A new platform
    "Calibration",
    "Measurement",
    "calibrate",
    # What it is made of
    "Adaptation",
    "CalibrationStrategy",
    "NetworkProfiles",
    "adapt",
    # What to measure
    "CandidatePool",
    "SelectionStrategy",
    "candidate_networks",
    "selection_for",
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
    "TorchMeasurer",
    "TvmRpcMeasurer",
    "VisitTiming",
    # What kernels take
    "ModelProfile",
    "Profiler",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Adaptation": "costmodel.calibration.adaptation",
        "Calibration": "costmodel.calibration.calibration",
        "CalibrationStrategy": "costmodel.calibration.strategies",
        "Campaign": "costmodel.calibration.campaign",
        "CandidatePool": "costmodel.calibration.candidates",
        "FamilyNetwork": "costmodel.calibration.sources",
        "Measurement": "costmodel.calibration.measurement",
        "Measurer": "costmodel.calibration.measurers",
        "ModelProfile": "costmodel.calibration.profiling",
        "ModelSource": "costmodel.calibration.sources",
        "NetworkProfiles": "costmodel.calibration.network_profiles",
        "OnnxFile": "costmodel.calibration.sources",
        "OnnxRuntimeMeasurer": "costmodel.calibration.measurers",
        "Profiler": "costmodel.calibration.profiling",
        "Progress": "costmodel.calibration.campaign",
        "RunTimes": "costmodel.calibration.measurers",
        "SelectionStrategy": "costmodel.calibration.selection",
        "TorchMeasurer": "costmodel.calibration.measurers",
        "TvmRpcMeasurer": "costmodel.calibration.measurers",
        "VisitTiming": "costmodel.calibration.measurers",
        "adapt": "costmodel.calibration.adaptation",
        "calibrate": "costmodel.calibration.calibration",
        "candidate_networks": "costmodel.calibration.candidates",
        "fill_weights": "costmodel.calibration.weights",
        "selection_for": "costmodel.calibration.selection",
    },
)
