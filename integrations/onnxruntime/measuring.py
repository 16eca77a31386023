"""Times variants of one model, in turns, each in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from costmodel.calibration.campaign import as_visit
from costmodel.calibration.crew import Crew
from costmodel.calibration.measurers import OnnxRuntimeMeasurer
from costmodel.calibration.sources import OnnxFile
from costmodel.data.records import MeasurementRecord, Status, Visit
from costmodel.integrations.onnxruntime.variant import Variant, default_platform_here

__all__ = ["VariantMeasurer", "measure_variants"]

_RUNS = 3


class VariantMeasurer(OnnxRuntimeMeasurer):
    """Times models in the session that a variant stands for.

    The models have to be in the variant's format already.

    Args:
        variant: What to time.
    """

    def __init__(self, variant: Variant) -> None:
        super().__init__(
            threads=variant.threads,
            graph_optimization=variant.graph_optimization,
            providers=variant.providers,
            session_config=variant.config,
        )
        self.precision = variant.precision


def measure_variants(
    files: Mapping[Variant, Path],
    *,
    visits: int,
    time_limit_s: float,
    on_visit: Callable[[Visit], None] = lambda _: None,
) -> dict[Variant, MeasurementRecord]:
    """Visit each variant ``visits`` times, in turns, so that a disturbance does not fall on one of them alone.

    Args:
        files: The model of each variant, in its format.
        visits: Visits to each; the fastest run of all counts.
        time_limit_s: A visit that takes longer counts as hung.
        on_visit: Called after each visit.

    Returns:
        What was measured of each; a variant that crashes, hangs or is refused has a failed record.

    Raises:
        MeasurementError: A measuring process does not start.
    """
    history: dict[Variant, list[Visit]] = {variant: [] for variant in files}
    with ExitStack() as stack:
        crews = {variant: stack.enter_context(Crew(VariantMeasurer(variant), time_limit_s)) for variant in files}
        for _ in range(visits):
            for variant, crew in crews.items():
                if any(visit.status is not Status.OK for visit in history[variant]):
                    continue
                ((source, outcome),) = crew.visit_each([OnnxFile.at(files[variant], variant.name)], None, _RUNS)
                history[variant].append(as_visit(source.name, outcome))
                on_visit(history[variant][-1])
    here = default_platform_here()
    return {
        variant: MeasurementRecord.from_visits(variant.platform(here) or variant.name, visited)
        for variant, visited in history.items()
    }
