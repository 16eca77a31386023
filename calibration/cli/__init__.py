"""The commands of this room: ``costmodel measure`` and ``costmodel calibrate``."""

from costmodel.calibration.cli.calibrate import calibrate
from costmodel.calibration.cli.measure import measure

__all__ = ["calibrate", "measure"]
