"""Building and timing candidates and networks so that one of them counts the same today and tomorrow."""

from costmodel.integrations.tvm.measuring.batch import measured_batch
from costmodel.integrations.tvm.measuring.cpu_time_runner import CpuTimeRunner, Finished
from costmodel.integrations.tvm.measuring.in_process_builder import InProcessBuilder
from costmodel.integrations.tvm.measuring.network_timer import NetworkRun, NetworkTimer
from costmodel.integrations.tvm.measuring.tracker_devices import rpc_runner

__all__ = [
    # candidates
    "CpuTimeRunner",
    "Finished",
    "InProcessBuilder",
    "measured_batch",
    "rpc_runner",
    # networks
    "NetworkRun",
    "NetworkTimer",
]
