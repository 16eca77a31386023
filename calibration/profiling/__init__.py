"""Where the time of a run goes, kernel by kernel, as the runtime itself notes it."""

from costmodel.calibration.profiling.model_profile import KernelTime, ModelProfile, NodeTime
from costmodel.calibration.profiling.profiler import Profiler

__all__ = ["KernelTime", "ModelProfile", "NodeTime", "Profiler"]
