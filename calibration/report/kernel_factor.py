"""Which classes of kernels a new platform is better or worse at than the platforms it resembles."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import log
from typing import TYPE_CHECKING

import numpy as np

from costmodel.features.kernel_class import KernelClass

if TYPE_CHECKING:
    from costmodel.calibration.calibration import Calibration

__all__ = ["KernelFactor", "kernel_factors"]

_LEAST_SHARE_PERCENT = 1.0
"""Kernels that take less of the time than this are nobody's concern, whatever their factor."""

_LEAST_FACTOR = 1.05
"""A factor closer to one than this, up or down, says nothing."""

_ALMOST_NOTHING = 1e-6
"""Keeps logarithms finite."""


@dataclass(frozen=True, slots=True)
class KernelFactor:
    """How many times as long a class of kernels takes as on the known platforms, mixed.

    Attributes:
        kernel: Name of its :class:`~costmodel.features.kernel_class.KernelClass`.
        factor: Time with all its factors over time without, over the networks that were fitted.
        share_percent: Its part of their predicted time.
    """

    kernel: str
    factor: float
    share_percent: float

    def to_dict(self) -> dict[str, str | float]:
        """Plain fields, for JSON."""
        return asdict(self)


def kernel_factors(calibration: Calibration, count: int = 5) -> tuple[KernelFactor, ...]:
    """The classes of kernels whose factors are farthest from one, the farthest first.

    Args:
        calibration: What was fitted; there are none where no factors were.
        count: How many, at most.
    """
    mixture = calibration.adaptation.mixture
    if not mixture.has_known_platforms:
        return ()
    plain_ms = np.einsum("npkt,pt->kt", calibration.profiles.term_ms, mixture.mix)
    before_ms, after_ms = plain_ms.sum(axis=1), (plain_ms * mixture.factors).sum(axis=1)
    found = [
        KernelFactor(kernel.name, float(after_ms[kernel] / before_ms[kernel]), float(share_percent))
        for kernel, share_percent in zip(KernelClass, 100 * after_ms / after_ms.sum(), strict=True)
        if before_ms[kernel] > 0 and share_percent >= _LEAST_SHARE_PERCENT
    ]
    told = [factor for factor in found if _distance_from_one(factor) > log(_LEAST_FACTOR)]
    return tuple(sorted(told, key=_distance_from_one, reverse=True)[:count])


def _distance_from_one(factor: KernelFactor) -> float:
    return abs(log(max(factor.factor, _ALMOST_NOTHING)))
