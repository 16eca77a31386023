"""Which known platforms a new one resembles."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from costmodel.calibration.calibration import Calibration

__all__ = ["PlatformShare", "platform_shares"]


@dataclass(frozen=True, slots=True)
class PlatformShare:
    """A known platform's part in a new one.

    Attributes:
        platform: Name of the known platform.
        share_percent: Part of the predicted time that comes from it, over the networks that were fitted.
    """

    platform: str
    share_percent: float

    def to_dict(self) -> dict[str, str | float]:
        """Plain fields, for JSON."""
        return asdict(self)


def platform_shares(calibration: Calibration) -> tuple[PlatformShare, ...]:
    """The known platforms that have a part in the new one, the largest first; none where it has only its own rates.

    Weights of the mix cannot be compared between a fast platform and a slow one; the time they account for can.
    Every network counts alike, however large.
    """
    mixture = calibration.adaptation.mixture
    if not mixture.has_known_platforms:
        return ()
    part_ms = np.einsum("npkt,pt,kt->np", calibration.profiles.term_ms, mixture.mix, mixture.factors)
    percent = 100 * (part_ms / part_ms.sum(axis=1, keepdims=True)).mean(axis=0)
    names = [platform.name for platform in calibration.predictor.bundle.config.platforms]
    shares = (PlatformShare(name, float(share)) for name, share in zip(names, percent, strict=True) if share > 0)
    return tuple(sorted(shares, key=lambda share: share.share_percent, reverse=True))
