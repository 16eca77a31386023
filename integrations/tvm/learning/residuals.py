"""What measured candidates of a task say beyond the models: a Gaussian process on what these were off by."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

__all__ = ["Residuals"]

_SIGNALS = (0.02, 0.05, 0.1, 0.2, 0.4)
_NOISES = (0.01, 0.03, 0.1, 0.3, 0.6)
"""Variances of log times that are tried: of what depends on the candidate, and of what nothing explains."""

_SLOPE = 0.3
"""Variance, over the signal's, of a factor that stretches or shrinks all differences between predictions."""

_FARTHEST = 4.0
"""Standard deviations: a candidate that has more of something than those measured is no farther from them."""

_STILL = 1e-3
"""A column that differs by a smaller share among the measured candidates says nothing."""

_ROUNDING = 1e-9
"""Distances below are of candidates that cannot be told apart."""

_Points = Float[np.ndarray, "candidates columns"]
_LogTimes = Float[np.ndarray, "candidates"]


class Residuals:
    """The posterior after some measurements.

    The kernel is a squared exponential of the distance between candidates, as wide as the median distance between those
    measured, and a linear one of what was predicted.  Both variances are those under which the measurements are most
    likely (Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, chapters 2 and 5).

    Args:
        points: A description of each measured candidate, at least two.
        log_times: What the models said of each, natural logarithm.
        measured: What each took, likewise; in any unit of time.
    """

    def __init__(self, points: _Points, log_times: _LogTimes, measured: _LogTimes) -> None:
        spread = points.std(axis=0)
        self._moving = np.flatnonzero(spread > _STILL * np.maximum(np.abs(points).max(axis=0), 1e-9))
        self._centre, self._scale = points[:, self._moving].mean(axis=0), spread[self._moving]
        self._middle, self._spread = float(log_times.mean()), float(max(log_times.std(), 1e-3))
        self._points, self._heights = self._scaled(points), self._standing(log_times)
        distances = _distances(self._points, self._points)
        apart = distances[np.triu_indices(len(distances), 1)]
        apart = apart[apart > _ROUNDING]
        self._width = float(np.median(apart)) if len(apart) else 1.0
        off = measured - log_times
        self._offset = float(off.mean())
        variances, self._directions = np.linalg.eigh(self._kernel(distances, self._heights))
        along = self._directions.T @ (off - self._offset)
        self._signal, noise = min(
            ((signal, noise) for signal in _SIGNALS for noise in _NOISES),
            key=lambda pair: _unlikelihood(pair[0] * np.maximum(variances, 0.0) + pair[1], along),
        )
        self._variances = self._signal * np.maximum(variances, 0.0) + noise
        self._weights = along / self._variances

    def predict(self, points: _Points, log_times: _LogTimes) -> tuple[_LogTimes, _LogTimes]:
        """What the models will be off by, and its standard deviation.

        Args:
            points: Any candidates of the task, described like those measured.
            log_times: What the models say of each.
        """
        heights = self._standing(log_times)
        distances = _distances(self._scaled(points), self._points)
        across = self._kernel(distances, heights) @ self._directions
        known = self._signal**2 * (across**2 / self._variances).sum(axis=1)
        before = self._signal * (1.0 + _SLOPE * heights**2)
        mean = self._offset + self._signal * across @ self._weights
        return mean, np.sqrt(np.maximum(before - known, 0.0))

    def _scaled(self, points: _Points) -> Float[np.ndarray, "candidates moving"]:
        scaled: Float[np.ndarray, "candidates moving"] = np.clip(
            (points[:, self._moving] - self._centre) / self._scale, -_FARTHEST, _FARTHEST
        )
        return scaled

    def _standing(self, log_times: _LogTimes) -> _LogTimes:
        standing: _LogTimes = (log_times - self._middle) / self._spread
        return standing

    def _kernel(
        self, distances: Float[np.ndarray, "candidates measured"], heights: _LogTimes
    ) -> Float[np.ndarray, "candidates measured"]:
        near = np.exp(-distances / (2 * self._width))
        kernel: Float[np.ndarray, "candidates measured"] = near + _SLOPE * heights[:, None] * self._heights[None, :]
        return kernel


def _distances(
    some: Float[np.ndarray, "some columns"], others: Float[np.ndarray, "others columns"]
) -> Float[np.ndarray, "some others"]:
    """Mean square difference over the columns."""
    squares = (some**2).sum(axis=1)[:, None] + (others**2).sum(axis=1)[None, :] - 2 * some @ others.T
    distances: Float[np.ndarray, "some others"] = np.maximum(squares, 0.0) / max(some.shape[1], 1)
    return distances


def _unlikelihood(variances: _LogTimes, along: _LogTimes) -> float:
    """Negative logarithm of the likelihood of independent normal variables, but for a constant."""
    return float(0.5 * (along**2 / variances + np.log(variances)).sum())
