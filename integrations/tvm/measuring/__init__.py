"""Building and timing candidates and networks so that one of them counts the same today and tomorrow."""

from costmodel.integrations.tvm.measuring.cpu_time_runner import CpuTimeRunner
from costmodel.integrations.tvm.measuring.in_process_builder import InProcessBuilder
from costmodel.integrations.tvm.measuring.network_timer import NetworkRun, NetworkTimer

__all__ = [
    # candidates
    "CpuTimeRunner",
    "InProcessBuilder",
    # networks
    "NetworkRun",
    "NetworkTimer",
]
