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
    Fits,
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

_RESCALED = RescaledPlatform()
_MIXED = MixedPlatforms()
_SCALED = ScaledKernels(_MIXED)
_OWN = OwnRates()
_AVERAGED = Averaged(_SCALED, _OWN)

STRATEGIES: tuple[CalibrationStrategy, ...] = (
    _RESCALED,
    _MIXED,
    _SCALED,
    Corrected(_RESCALED),
    Corrected(_SCALED),
    _OWN,
    Corrected(_OWN),
    _AVERAGED,
    Corrected(_AVERAGED),
)
"""From the stiffest to the most flexible; those that build on another share it, so that it is fitted once."""


@dataclass(frozen=True)
class Candidate:
    """How well a strategy does.

    Attributes:
        strategy: Its name.
        left_out: The platform as fitted without each of the measured networks.
        left_out_ms: Latency of each measured network by the platform fitted without it, milliseconds.
        error_percent: Mean absolute error of those in per cent of what was measured.
    """

    strategy: str
    left_out: tuple[Mixture, ...]
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
    others = [strategy for strategy in strategies if strategy.name != _RESCALED.name]
    tried = (_RESCALED, *(strategy for strategy in others if strategy.least_networks < len(profiles)))
    candidates = _left_out(tried, profiles, latency_ms)
    best = int(np.argmin([candidate.error_percent for candidate in candidates]))
    return Adaptation(tried[best].fit(profiles, latency_ms), candidates[best], candidates)


def _left_out(
    strategies: Sequence[CalibrationStrategy], profiles: NetworkProfiles, latency_ms: Float[np.ndarray, "networks"]
) -> tuple[Candidate, ...]:
    everything = np.arange(len(profiles))
    without = [np.delete(everything, row) for row in everything]
    fits = [Fits(profiles.subset(others), latency_ms[others]) for others in without]
    candidates = []
    for strategy in strategies:
        mixtures = tuple(fit.of(strategy) for fit in fits)
        left_out_ms = np.array([m.latency_ms(profiles.subset([row]))[0] for row, m in enumerate(mixtures)])
        error_percent = mape_percent(left_out_ms, latency_ms)
        candidates.append(Candidate(strategy.name, mixtures, left_out_ms, error_percent))
    return tuple(candidates)
