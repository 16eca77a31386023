"""Chooses how a new platform is fitted: by the error on each measured network of a fit to all others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from costmodel.calibration.network_profiles import NetworkProfiles
from costmodel.calibration.strategies import (
    Averaged,
    CalibrationStrategy,
    Corrected,
    MixedPlatforms,
    Mixture,
    OwnRates,
    RescaledPlatform,
    ScaledKernels,
)
from costmodel.errors import DataError
from costmodel.training.metrics import mape_percent

__all__ = ["LEAST_MEASUREMENTS", "STRATEGIES", "Adaptation", "Candidate", "adapt"]

LEAST_MEASUREMENTS = 3
"""With one left out, two remain: a line through one point fits anything."""

STRATEGIES: tuple[CalibrationStrategy, ...] = (
    RescaledPlatform(),
    MixedPlatforms(),
    ScaledKernels(),
    Corrected(RescaledPlatform()),
    Corrected(ScaledKernels()),
    OwnRates(),
    Corrected(OwnRates()),
    Averaged(),
    Corrected(Averaged()),
)
"""From the stiffest to the most flexible."""


@dataclass(frozen=True)
class Candidate:
    """How well a strategy does.

    Attributes:
        strategy: Its name.
        left_out_ms: Latency of each measured network by the strategy fitted to all others, milliseconds.
        error_percent: Mean absolute error of those in per cent of what was measured.
    """

    strategy: str
    left_out_ms: Float[np.ndarray, "networks"]
    error_percent: float


@dataclass(frozen=True)
class Adaptation:
    """A fitted platform and why it was fitted so.

    Attributes:
        mixture: The platform, fitted to all measurements.
        chosen: The strategy with the least error.
        candidates: Every strategy that was tried, the best known platform rescaled first.
    """

    mixture: Mixture
    chosen: Candidate
    candidates: tuple[Candidate, ...]

    @property
    def fell_back(self) -> bool:
        """Whether nothing was better than the best known platform rescaled."""
        return self.chosen.strategy == self.candidates[0].strategy


def adapt(
    profiles: NetworkProfiles,
    latency_ms: Float[np.ndarray, "networks"],
    strategies: Sequence[CalibrationStrategy] = STRATEGIES,
) -> Adaptation:
    """Fit a new platform with the strategy that predicts left-out measurements best.

    The best known platform rescaled is always among the strategies, so that nothing worse than that is chosen.

    Args:
        profiles: The networks that were measured, at least :data:`LEAST_MEASUREMENTS`.
        latency_ms: Their latencies, milliseconds.
        strategies: What to try.

    Raises:
        DataError: There are too few measurements, or one is not positive.
    """
    if len(profiles) < LEAST_MEASUREMENTS:
        raise DataError(
            f"got measurements of {len(profiles)} networks, expected at least {LEAST_MEASUREMENTS}: "
            "with fewer nobody can tell how far off the result is. Measure more networks."
        )
    baseline = RescaledPlatform()
    others = [strategy for strategy in strategies if strategy.name != baseline.name]
    tried = (baseline, *(strategy for strategy in others if strategy.least_networks < len(profiles)))
    candidates = tuple(_tried(strategy, profiles, latency_ms) for strategy in tried)
    best = int(np.argmin([candidate.error_percent for candidate in candidates]))
    return Adaptation(tried[best].fit(profiles, latency_ms), candidates[best], candidates)


def _tried(
    strategy: CalibrationStrategy, profiles: NetworkProfiles, latency_ms: Float[np.ndarray, "networks"]
) -> Candidate:
    everything = np.arange(len(profiles))
    left_out_ms = np.empty(len(profiles))
    for row in range(len(profiles)):
        others = np.delete(everything, row)
        mixture = strategy.fit(profiles.subset(others), latency_ms[others])
        left_out_ms[row] = mixture.latency_ms(profiles.subset([row]))[0]
    return Candidate(strategy.name, left_out_ms, mape_percent(left_out_ms, latency_ms))
