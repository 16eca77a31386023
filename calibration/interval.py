"""How far a calibrated prediction may be off, judged by few errors."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from costmodel.errors import DataError
from costmodel.training.report import INTERVAL, error_quantile

__all__ = ["error_quantile_of_few"]

_ENOUGH = 19
"""From so many errors on, the conformal quantile is not simply the largest of them."""


def error_quantile_of_few(log_errors: Float[np.ndarray, "errors"]) -> float:
    """The absolute log error that a new network stays within nine times in ten.

    From nineteen errors on it is the conformal quantile.  Fewer are taken for a sample of a normal distribution
    around zero: then the next error over their root mean square follows Student's distribution, whose quantile
    grows as the errors get fewer.

    Args:
        log_errors: Logarithms of predicted over measured latency of networks the prediction was not fitted to.

    Raises:
        DataError: There is no error at all.
    """
    from scipy.stats import t

    count = len(log_errors)
    if count == 0:
        raise DataError("no errors to judge an interval by; calibrate with at least three measurements.")
    if count >= _ENOUGH:
        return error_quantile(log_errors)
    return float(t.ppf((1 + INTERVAL) / 2, count) * np.sqrt(np.mean(log_errors**2)))
