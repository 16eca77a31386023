"""Olive: searches that ask the predictor for latencies, not the clock.

Names are imported when first used.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from costmodel.errors import MissingDependencyError
from costmodel.lazy import lazy_names

if TYPE_CHECKING:
    from costmodel.integrations.onnxruntime.olive.latency_evaluator import CostModelLatency
    from costmodel.integrations.onnxruntime.olive.session_pass import CostModelSession
    from costmodel.integrations.onnxruntime.olive.two_stage import MeasuredOutput, measure_front
    from costmodel.integrations.onnxruntime.olive.workflow import run_workflow

__all__ = ["CostModelLatency", "CostModelSession", "MeasuredOutput", "measure_front", "run_workflow"]

# `import olive` itself fails without requests, which it does not declare.
if find_spec("olive") is None or find_spec("requests") is None:
    raise MissingDependencyError("olive-ai", "olive", "searching with Olive")

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "CostModelLatency": "costmodel.integrations.onnxruntime.olive.latency_evaluator",
        "CostModelSession": "costmodel.integrations.onnxruntime.olive.session_pass",
        "MeasuredOutput": "costmodel.integrations.onnxruntime.olive.two_stage",
        "measure_front": "costmodel.integrations.onnxruntime.olive.two_stage",
        "run_workflow": "costmodel.integrations.onnxruntime.olive.workflow",
    },
)
