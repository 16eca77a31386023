"""The second stage of a search: what was predicted to be best is measured."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

import onnx

from costmodel.integrations.onnxruntime.measuring import measure_variants
from costmodel.integrations.onnxruntime.olive.variant_of_model import variant_of
from costmodel.integrations.onnxruntime.variant import Variant

if TYPE_CHECKING:
    from olive.engine.output import ModelOutput, WorkflowOutput

__all__ = ["MeasuredOutput", "measure_front"]


@dataclass(frozen=True)
class MeasuredOutput:
    """One of the models that a search came to.

    Attributes:
        output: As Olive has it: its file, its passes, its predicted metrics.
        variant: Its format and session.
        measured_ms: Fastest run; ``None`` if it does not run.
        reason: Why it does not; else empty.
    """

    output: ModelOutput
    variant: Variant
    measured_ms: float | None
    reason: str


def measure_front(
    found: WorkflowOutput, most: int | None = None, *, visits: int = 5, time_limit_s: float = 120.0
) -> list[MeasuredOutput]:
    """Measure the models that a search came to: those on the Pareto front of the metrics that have a priority.

    Args:
        found: What :func:`~costmodel.integrations.onnxruntime.olive.run_workflow` returned.
        most: How many to measure, in the order that Olive has put them in; ``None`` for all.
        visits: Visits to each; the fastest run of all counts.
        time_limit_s: A visit that takes longer is ended.

    Returns:
        Those models, fastest first; any that crash, hang or are refused come last.

    Raises:
        MeasurementError: A measuring process does not start.
    """
    measured = [
        _measured(output, visits=visits, time_limit_s=time_limit_s) for output in found.get_output_models()[:most]
    ]
    return sorted(measured, key=lambda row: inf if row.measured_ms is None else row.measured_ms)


def _measured(output: ModelOutput, *, visits: int, time_limit_s: float) -> MeasuredOutput:
    path = Path(output.model_path)
    graph = onnx.load(path, load_external_data=False)
    variant = variant_of(graph, output.get_inference_config() or {})
    record = measure_variants({variant: path}, visits=visits, time_limit_s=time_limit_s)[variant]
    return MeasuredOutput(output, variant, record.latency_ms, record.reason)
