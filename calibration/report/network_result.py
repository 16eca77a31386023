"""Each measured network beside a prediction that had not seen its measurement."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from costmodel.calibration.calibration import Calibration

__all__ = ["NetworkResult", "Role", "network_results"]

_ROUNDING = 1e-9
"""The width of intervals is one network's error: rounding must not put that network outside its own."""


class Role(StrEnum):
    """What a measurement was used for."""

    FITTED = "fitted"
    HELD_BACK = "held back"


@dataclass(frozen=True, slots=True)
class NetworkResult:
    """One network: what was measured, and what would have been predicted.

    Attributes:
        model: Name of the network.
        family: Its family.
        batch: Images a run.
        role: What its measurement was used for.
        measured_ms: Milliseconds a run.
        predicted_ms: The same, predicted; where it was fitted, by a fit to all others.
        low_ms: Lower end of the 90 % interval.
        high_ms: Upper end of the 90 % interval.
    """

    model: str
    family: str
    batch: int
    role: Role
    measured_ms: float
    predicted_ms: float
    low_ms: float
    high_ms: float

    @property
    def within(self) -> bool:
        """Whether the interval holds what was measured."""
        return self.low_ms * (1 - _ROUNDING) <= self.measured_ms <= self.high_ms * (1 + _ROUNDING)

    @property
    def off_percent(self) -> float:
        """Predicted over measured, in per cent above (or, negative, below)."""
        return 100 * (self.predicted_ms / self.measured_ms - 1)

    def to_dict(self) -> dict[str, str | int | float | bool]:
        """Plain fields, for JSON and CSV."""
        return {
            "model": self.model,
            "family": self.family,
            "batch": self.batch,
            "role": self.role.value,
            "measured_ms": self.measured_ms,
            "predicted_ms": self.predicted_ms,
            "low_ms": self.low_ms,
            "high_ms": self.high_ms,
            "within": self.within,
        }


def network_results(calibration: Calibration) -> tuple[NetworkResult, ...]:
    """Every network of ``calibration``, those it was fitted to first."""
    factor = float(np.exp(calibration.adapter.error_quantile))
    left_out = zip(calibration.fitted, calibration.adaptation.chosen.left_out_ms, strict=True)
    held_back = zip(calibration.held_back, calibration.held_back_ms, strict=True)
    return tuple(
        NetworkResult(
            model=measurement.name,
            family=measurement.family,
            batch=measurement.batch,
            role=role,
            measured_ms=measurement.latency_ms,
            predicted_ms=float(predicted_ms),
            low_ms=float(predicted_ms) / factor,
            high_ms=float(predicted_ms) * factor,
        )
        for role, pairs in ((Role.FITTED, left_out), (Role.HELD_BACK, held_back))
        for measurement, predicted_ms in pairs
    )
