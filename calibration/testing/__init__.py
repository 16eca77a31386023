"""For those who write a plug-in: test kits to subclass, and stand-ins for the other parts.

Names are imported when first used, so that a process that measures with a stand-in does not load torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costmodel.lazy import lazy_names

if TYPE_CHECKING:
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

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "FakeMeasurer": "costmodel.calibration.testing.measuring",
        "FakeModel": "costmodel.calibration.testing.measuring",
        "Job": "costmodel.calibration.testing.interrupting",
        "MeasurerConformance": "costmodel.calibration.testing.measuring",
        "Run": "costmodel.calibration.testing.interrupting",
        "SelectionConformance": "costmodel.calibration.testing.fitting",
        "StrategyConformance": "costmodel.calibration.testing.fitting",
        "convolution_model": "costmodel.calibration.testing.measuring",
        "synthetic_profiles": "costmodel.calibration.testing.fitting",
    },
)
