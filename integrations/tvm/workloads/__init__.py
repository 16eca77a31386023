"""Tuning tasks with shapes of real networks, and how any Relax module becomes tasks."""

from costmodel.integrations.tvm.workloads.catalog import WORKLOADS, find_workload
from costmodel.integrations.tvm.workloads.operators import relax_module
from costmodel.integrations.tvm.workloads.wide_catalog import WIDE_WORKLOADS
from costmodel.integrations.tvm.workloads.workload import Workload, extract_tasks, legalised, stages_of_fusion

__all__ = [
    "WIDE_WORKLOADS",
    "WORKLOADS",
    "Workload",
    "extract_tasks",
    "find_workload",
    "legalised",
    "relax_module",
    "stages_of_fusion",
]
