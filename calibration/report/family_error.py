"""How far off predictions are in each family of networks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from statistics import fmean

from costmodel.calibration.report.network_result import NetworkResult

__all__ = ["FamilyError", "family_errors"]


@dataclass(frozen=True, slots=True)
class FamilyError:
    """Error in one family.

    Attributes:
        family: Its name.
        networks: Networks measured.
        error_percent: Mean absolute error in per cent of what was measured.
    """

    family: str
    networks: int
    error_percent: float

    def to_dict(self) -> dict[str, str | int | float]:
        """Plain fields, for JSON."""
        return asdict(self)


def family_errors(results: Iterable[NetworkResult]) -> tuple[FamilyError, ...]:
    """The error in each family of ``results``, the largest first."""
    by_family: dict[str, list[float]] = {}
    for result in results:
        by_family.setdefault(result.family, []).append(abs(result.off_percent))
    errors = (FamilyError(family, len(off), fmean(off)) for family, off in by_family.items())
    return tuple(sorted(errors, key=lambda error: error.error_percent, reverse=True))
