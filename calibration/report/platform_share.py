"""Which known platforms a new one resembles."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

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
    """The known platforms that have a part in the new one, the largest first; none where it has only its own rates."""
    percent = 100 * calibration.adaptation.mixture.shares(calibration.profiles)
    names = [platform.name for platform in calibration.predictor.bundle.config.platforms]
    shares = (PlatformShare(name, float(share)) for name, share in zip(names, percent, strict=True) if share > 0)
    return tuple(sorted(shares, key=lambda share: share.share_percent, reverse=True))
