"""What more measurements would be worth: the error against how many networks are fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float

from costmodel.calibration.adaptation import STRATEGIES, adapt
from costmodel.calibration.network_profiles import NetworkProfiles
from costmodel.calibration.strategies import CalibrationStrategy
from costmodel.training.metrics import mape_percent

__all__ = ["LearningPoint", "learning_curve"]

_LEAST_TESTED = 2
"""The error on a single network says little."""


@dataclass(frozen=True, slots=True)
class LearningPoint:
    """How far off fits to so many networks are.

    Attributes:
        networks: Networks fitted.
        error_percent: Mean absolute error on all others in per cent of what was measured, averaged over draws.
        spread_percent: Standard deviation of that between draws.
    """

    networks: int
    error_percent: float
    spread_percent: float

    def to_dict(self) -> dict[str, int | float]:
        """Plain fields, for JSON."""
        return asdict(self)


def learning_curve(
    profiles: NetworkProfiles,
    latency_ms: Float[np.ndarray, "networks"],
    *,
    strategies: Sequence[CalibrationStrategy] = STRATEGIES,
    sizes: Sequence[int] = (3, 5, 10, 20, 50),
    repeats: int = 5,
    seed: int = 0,
) -> tuple[LearningPoint, ...]:
    """Calibrate again and again with some of the networks, and test on the others.

    Thirty networks take about a second on one core, fifty about three.

    Args:
        profiles: The networks that were measured.
        latency_ms: Their latencies, milliseconds.
        strategies: What to choose from, by left-out error among the networks drawn, as a calibration does.
        sizes: Networks to fit, at least three each; sizes that leave fewer than two to test on are left out.
        repeats: Random draws of each size, at least one; larger ones contain the smaller.
        seed: Of the draws.

    Raises:
        DataError: A size is below three, or a latency is not positive.
    """
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(len(profiles)) for _ in range(repeats)]
    points = []
    for size in sizes:
        if size + _LEAST_TESTED > len(profiles):
            continue
        errors = [_error_percent(profiles, latency_ms, strategies, order[:size], order[size:]) for order in orders]
        points.append(LearningPoint(size, float(np.mean(errors)), float(np.std(errors))))
    return tuple(points)


def _error_percent(
    profiles: NetworkProfiles,
    latency_ms: Float[np.ndarray, "networks"],
    strategies: Sequence[CalibrationStrategy],
    fitted: np.ndarray,
    tested: np.ndarray,
) -> float:
    mixture = adapt(profiles.subset(fitted), latency_ms[fitted], strategies).mixture
    return mape_percent(mixture.latency_ms(profiles.subset(tested)), latency_ms[tested])
