"""What a cost model's scores say about times."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, inf
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

__all__ = ["Promise", "log_times_of"]


@dataclass(frozen=True)
class Promise:
    """What a model said of a round's candidates before it learned from them.

    Attributes:
        scores: One a candidate; the higher, the faster the candidate should be.
        log_times: Natural logarithms of their times, relative to one another; ``None`` where scores only put them in
            order.
        best_log_time: Likewise, of the fastest candidate of the rounds before; ``None`` also where there is none.
    """

    scores: Float[np.ndarray, "candidates"]
    log_times: Float[np.ndarray, "candidates"] | None = None
    best_log_time: float | None = None

    def improvement(self, ran: Bool[np.ndarray, "candidates"]) -> float | None:
        """By which fraction the fastest of some candidates should undercut the fastest of the rounds before.

        Args:
            ran: Flags of those that count.

        Returns:
            From minus infinity to 1; ``None`` where the scores do not tell.
        """
        if self.log_times is None or self.best_log_time is None or not ran.any():
            return None
        least = float(np.min(self.log_times[ran]))
        if not (abs(least) < inf and abs(self.best_log_time) < inf):
            return None
        return 1 - exp(min(least - self.best_log_time, _GREATEST_EXPONENT))


_GREATEST_EXPONENT = 700.0
"""Beyond, ``exp`` overflows."""


def log_times_of(scores: Float[np.ndarray, "candidates"], cost_model: Any) -> Float[np.ndarray, "candidates"] | None:
    """Natural logarithms of relative times that scores stand for; ``None`` where they do not.

    A cost model says by an attribute what its scores are: ``scores_are_speeds`` for runs a unit of time that is the
    same within a task, ``scores_are_log_times`` for logarithms of time with the sign turned.
    """
    if getattr(cost_model, "scores_are_log_times", False):
        return -scores
    if getattr(cost_model, "scores_are_speeds", False):
        with np.errstate(divide="ignore"):  # a speed of zero takes for ever
            log_times: Float[np.ndarray, "candidates"] = -np.log(np.maximum(scores, 0.0))
        return log_times
    return None
