"""Where the time of a run goes, kernel by kernel, as the runtime itself notes it."""

from costmodel.calibration.profiling.profiler import Profiler
from costmodel.data.model_profile import KernelTime, ModelProfile, NodeTime

__all__ = ["KernelTime", "ModelProfile", "NodeTime", "Profiler"]
