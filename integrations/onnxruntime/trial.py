"""Makes, checks and measures candidates, and remembers what became of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice

from costmodel.data.records import MeasurementRecord
from costmodel.errors import MeasurementError
from costmodel.integrations.onnxruntime.format_maker import FormatMaker, MadeFormat
from costmodel.integrations.onnxruntime.measuring import measure_variants
from costmodel.integrations.onnxruntime.variant import Variant

__all__ = ["Trial"]


@dataclass
class Trial:
    """What is found out about the candidates of one model.

    Attributes:
        maker: Makes the formats.
        max_difference: How far outputs may be off.
        visits: Visits to each that is measured.
        time_limit_s: For a visit.
        on_step: Told what is done next.
        made: The model in the format of each candidate that was tried, where it could be made.
        reasons: Why candidates are invalid.
        records: What was measured.
    """

    maker: FormatMaker
    max_difference: float
    visits: int
    time_limit_s: float
    on_step: Callable[[str], None]
    made: dict[Variant, MadeFormat] = field(default_factory=dict)
    reasons: dict[Variant, str] = field(default_factory=dict)
    records: dict[Variant, MeasurementRecord] = field(default_factory=dict)

    @property
    def latencies_ms(self) -> dict[Variant, float]:
        """Fastest run of each candidate that was measured."""
        return {v: record.latency_ms for v, record in self.records.items() if record.latency_ms is not None}

    def make_first(self, order: Iterable[Variant]) -> Variant:
        """The first candidate that is valid, as far as one can tell without measuring it.

        Raises:
            MeasurementError: None is.
        """
        for variant in filter(self._make, order):
            return variant
        raise self._nothing_valid()

    def measure_first(self, order: Iterable[Variant], count: int) -> Variant:
        """Measure the first ``count`` candidates that are valid, and choose the fastest.

        Raises:
            MeasurementError: None is valid, or a process does not start.
        """
        waiting = filter(self._make, order)
        while missing := count - len(self.latencies_ms):
            batch = list(islice(waiting, missing))
            if not batch:
                break
            self._measure(batch)
        latencies_ms = self.latencies_ms
        if not latencies_ms:
            raise self._nothing_valid()
        return min(latencies_ms, key=latencies_ms.__getitem__)

    def _make(self, variant: Variant) -> bool:
        """Make the candidate's format, unless that is done; whether it is valid so far."""
        self.on_step(f"making {variant.format}")
        try:
            made = self.maker.make(variant.format)
        except MeasurementError as error:
            self.reasons[variant] = str(error)
            return False
        self.made[variant] = made
        if made.difference > self.max_difference:
            self.reasons[variant] = (
                f"its outputs are off by {made.difference:.3g} of the outputs in fp32, at most {self.max_difference:g} "
                "is allowed"
            )
            return False
        return True

    def _measure(self, variants: Sequence[Variant]) -> None:
        files = {variant: self.made[variant].path for variant in variants}
        found = measure_variants(
            files,
            visits=self.visits,
            time_limit_s=self.time_limit_s,
            on_visit=lambda visit: self.on_step(f"measured {visit.model}"),
        )
        self.records |= found
        self.reasons |= {v: f"{record.status}: {record.reason}" for v, record in found.items() if record.reason}

    def _nothing_valid(self) -> MeasurementError:
        reasons = "; ".join(f"{variant.name}: {reason}" for variant, reason in self.reasons.items())
        return MeasurementError(f"no candidate is valid. {reasons or 'None was given.'}")
