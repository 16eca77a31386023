"""For those who write a plug-in: test kits to subclass, and stand-ins for the other parts."""

from costmodel.calibration.testing.fitting import SelectionConformance, StrategyConformance, synthetic_profiles
from costmodel.calibration.testing.interrupting import Job, Run
from costmodel.calibration.testing.measuring import FakeMeasurer, FakeModel, MeasurerConformance, convolution_model

__all__ = [
    # measurers
    "FakeMeasurer",
    "FakeModel",
    "MeasurerConformance",
    "convolution_model",
    # selections and strategies
    "SelectionConformance",
    "StrategyConformance",
    "synthetic_profiles",
    # calibrations that are interrupted
    "Job",
    "Run",
]
