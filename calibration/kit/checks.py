"""Whether results that came back can be what they say."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from statistics import median

from costmodel.calibration.kit.contents import KitContents
from costmodel.calibration.kit.manifest import KitModel
from costmodel.calibration.measurement import Measurement
from costmodel.data.records import MeasurementRecord, Visit

__all__ = ["file_fault", "unit_doubt", "visit_fault"]

_LEAST_MS, _MOST_MS = 1e-3, 3.6e6
"""A microsecond and an hour: no network and no patience is outside of that."""

_REFERENCE_FLOPS = 2 * 384**3
"""Of :func:`costmodel.calibration.measurers.reference.reference_kernel_ms`."""

_TOO_SLOW, _TOO_FAST = 300.0, 1 / 100
"""Networks take 1 to 10 times what a matrix product of as many FLOPs takes; a thousand times that is another unit."""


def file_fault(model: KitModel, contents: KitContents) -> str | None:
    """What is wrong with the file of a model, which its features are to be read from."""
    if not contents.has(model.file):
        return f"{model.file} is missing"
    if sha256(contents.read(model.file)).hexdigest() != model.sha256:
        return f"{model.file} is not the file that was exported"
    return None


def visit_fault(visit: Visit, model: KitModel) -> str | None:
    """What makes a visit useless."""
    if visit.model_hash != model.graph_hash:
        return "another model was measured under that name"
    if visit.batch != model.batch:
        return f"measured at batch {visit.batch}, exported at {model.batch}"
    if visit.run_ms and not _LEAST_MS <= median(visit.run_ms) <= _MOST_MS:
        return f"{median(visit.run_ms):.4g} ms a run cannot be; expected milliseconds, from 0.001 to 3600000"
    return None


def unit_doubt(measured: Sequence[tuple[MeasurementRecord, Measurement]], threads: int) -> str | None:
    """What is odd about all latencies together, seen beside the reference kernel that ran next to them.

    Args:
        measured: Networks that a CPU ran.
        threads: That ran one network.
    """
    ratios = [
        measurement.latency_ms * threads / _matrix_product_ms(measurement, record.reference_ms)
        for record, measurement in measured
        if record.reference_ms is not None
    ]
    if not ratios or _TOO_FAST <= median(ratios) <= _TOO_SLOW:
        return None
    unit = "microseconds" if median(ratios) > 1 else "seconds"
    return (
        f"latencies are {median(ratios):.2g} times what matrix products of as many FLOPs take on the device; "
        f"expected milliseconds, could these be {unit}?"
    )


def _matrix_product_ms(measurement: Measurement, reference_ms: float) -> float:
    flops = float(measurement.features.work[:, 0].sum()) * measurement.batch
    return max(flops, 1.0) / _REFERENCE_FLOPS * reference_ms
