"""Ways of choosing which networks to measure."""

from costmodel.calibration.selection.base import SelectionStrategy
from costmodel.calibration.selection.catalog import SELECTIONS, selection_for
from costmodel.calibration.selection.d_optimal import DOptimalSelection
from costmodel.calibration.selection.k_centre import KCentreSelection
from costmodel.calibration.selection.random_selection import RandomSelection
from costmodel.calibration.selection.representative import RepresentativeSelection

__all__ = [
    "SELECTIONS",
    "DOptimalSelection",
    "KCentreSelection",
    "RandomSelection",
    "RepresentativeSelection",
    "SelectionStrategy",
    "selection_for",
]
