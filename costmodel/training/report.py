"""What a training run has to say for itself: its error on the families that were left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float

from costmodel.training.metrics import accuracy_within, interval_coverage, kendall_tau, mape_percent
from costmodel.training.training_set import TrainingSet

__all__ = ["INTERVAL", "PlatformError", "TrainingReport", "error_quantile", "platform_errors"]

INTERVAL = 0.9
"""Share of networks that the intervals are meant to hold."""


@dataclass(frozen=True, slots=True)
class PlatformError:
    """Error on one platform, every network predicted by a member that never saw its family.

    Attributes:
        platform: Name.
        networks: Networks measured.
        mape_percent: Mean absolute percentage error.
        median_percent: Median absolute percentage error.
        within_10_percent: Share of networks within 10 %, in per cent.
        kendall_tau: Rank correlation.
        coverage_percent: Networks inside the 90 % interval, in per cent, the interval's width taken
            from the other folds.
    """

    platform: str
    networks: int
    mape_percent: float
    median_percent: float
    within_10_percent: float
    kendall_tau: float
    coverage_percent: float

    def to_dict(self) -> dict[str, str | int | float]:
        """Plain fields, for JSON and CSV."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """Result of a training run; prints as a table.

    Attributes:
        name: Name of the weights.
        folder: Where the weights were written.
        networks: Networks trained on.
        errors: One line a platform.
    """

    name: str
    folder: str
    networks: int
    errors: tuple[PlatformError, ...]

    def __str__(self) -> str:
        width = max((len(error.platform) for error in self.errors), default=8)
        lines = [
            f"{self.name}: {self.networks} networks, weights in {self.folder}",
            f"{'platform':<{width}}  networks   MAPE %  median %  within 10 %    tau  90 % interval holds",
        ]
        lines += [
            f"{e.platform:<{width}}  {e.networks:>8}  {e.mape_percent:>7.2f}  {e.median_percent:>8.2f}  "
            f"{e.within_10_percent:>11.1f}  {e.kendall_tau:>5.3f}  {e.coverage_percent:>19.1f}"
            for e in self.errors
        ]
        return "\n".join([*lines, "(every network predicted by a member that never saw its family)"])


def error_quantile(log_errors: Float[np.ndarray, " errors"]) -> float:
    """The absolute log error that a new network stays within nine times in ten.

    The conformal quantile: of *n* held-out errors the ``ceil(0.9 (n + 1))``-th smallest, so that few
    errors give a wide interval.  Infinite below nine errors, where nothing can be promised.
    """
    ordered = np.sort(np.abs(log_errors[~np.isnan(log_errors)]))
    place = int(np.ceil(INTERVAL * (len(ordered) + 1)))
    return float(ordered[place - 1]) if place <= len(ordered) else float("inf")


def platform_errors(
    data: TrainingSet, held_out_log_ms: Float[np.ndarray, "graphs platforms"], folds: Sequence[np.ndarray]
) -> tuple[PlatformError, ...]:
    """Errors on every platform of predictions made by members that had left the network's family out."""
    errors = []
    for column, platform in enumerate(data.platforms):
        measured = data.latency_ms[:, column]
        known = ~np.isnan(measured)
        if not known.any():
            continue
        predicted = np.exp(held_out_log_ms[:, column])
        widening = _fold_widening(held_out_log_ms[:, column] - np.log(measured), folds)
        p, m, w = predicted[known], measured[known], widening[known]
        errors.append(
            PlatformError(
                platform=platform,
                networks=int(known.sum()),
                mape_percent=mape_percent(p, m),
                median_percent=float(100 * np.median(np.abs(p - m) / m)),
                within_10_percent=accuracy_within(p, m),
                kendall_tau=kendall_tau(p, m),
                coverage_percent=interval_coverage(p / w, p * w, m),
            )
        )
    return tuple(errors)


def _fold_widening(
    log_errors: Float[np.ndarray, " graphs"], folds: Sequence[np.ndarray]
) -> Float[np.ndarray, " graphs"]:
    """For each network, the factor by which its interval reaches up and down, judged by the other folds' errors."""
    widening = np.full(len(log_errors), np.nan)
    for rows in folds:
        others = np.setdiff1d(np.arange(len(log_errors)), rows)
        widening[rows] = np.exp(error_quantile(log_errors[others]))
    return widening
