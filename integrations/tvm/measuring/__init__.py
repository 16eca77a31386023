"""Building and timing MetaSchedule's candidates so that one of them counts the same today and tomorrow."""

from costmodel.integrations.tvm.measuring.cpu_time_runner import CpuTimeRunner
from costmodel.integrations.tvm.measuring.in_process_builder import InProcessBuilder

__all__ = ["CpuTimeRunner", "InProcessBuilder"]
