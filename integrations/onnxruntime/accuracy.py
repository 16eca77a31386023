"""How far the outputs of one format of a model are from those of another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from costmodel.calibration.measurers.calls import refusal
from costmodel.integrations.onnxruntime.feeds import Feeds
from costmodel.integrations.onnxruntime.variant import DEFAULT_VARIANT

__all__ = ["output_difference", "relative_rms_error"]


def output_difference(reference: Path, candidate: Path, feeds: Sequence[Feeds]) -> float:
    """Largest :func:`relative_rms_error` of any output, over all ``feeds`` together.

    Raises:
        MeasurementError: One of the two does not load or run.
    """
    expected, found = (_outputs(path, feeds) for path in (reference, candidate))
    return max(relative_rms_error(one, other) for one, other in zip(expected, found, strict=True))


def relative_rms_error(expected: np.ndarray, found: np.ndarray) -> float:
    """Root mean square of the error as a part of that of ``expected``; 0.1 is a signal-to-noise ratio of 20 dB.

    Infinity where shapes differ, or where one has a number and the other has none.
    """
    one, other = expected.astype(np.float64), found.astype(np.float64)
    if one.shape != other.shape:
        return float("inf")
    finite = np.isfinite(one)
    if not np.array_equal(one[~finite], other[~finite], equal_nan=True) or not np.isfinite(other[finite]).all():
        return float("inf")
    error, signal = np.linalg.norm(one[finite] - other[finite]), np.linalg.norm(one[finite])
    if not error:
        return 0.0
    return float(error / signal) if signal else float("inf")


def _outputs(path: Path, feeds: Sequence[Feeds]) -> list[np.ndarray]:
    """Each output of the model, of all ``feeds`` in one row."""
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(
            path, DEFAULT_VARIANT.session_options(), providers=DEFAULT_VARIANT.providers
        )
        runs = [session.run(None, dict(feed)) for feed in feeds]
    except Exception as error:  # onnxruntime's exceptions share no base class but Exception
        raise refusal(f"onnxruntime does not run {path.name}", error) from error
    return [np.concatenate([np.asarray(output).ravel() for output in of_one]) for of_one in zip(*runs, strict=True)]
