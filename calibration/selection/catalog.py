"""Selections by the name that is typed."""

from __future__ import annotations

from costmodel.calibration.selection.base import SelectionStrategy
from costmodel.calibration.selection.d_optimal import DOptimalSelection
from costmodel.calibration.selection.k_centre import KCentreSelection
from costmodel.calibration.selection.random_selection import RandomSelection
from costmodel.calibration.selection.representative import RepresentativeSelection
from costmodel.errors import UnknownNameError

__all__ = ["SELECTIONS", "selection_for"]

SELECTIONS: dict[str, type[SelectionStrategy]] = {
    kind.name: kind for kind in (RepresentativeSelection, KCentreSelection, DOptimalSelection, RandomSelection)
}
"""Every way of choosing, the default first."""


def selection_for(name: str) -> SelectionStrategy:
    """The selection called ``name``.

    Raises:
        UnknownNameError: There is none of that name.
    """
    if name not in SELECTIONS:
        raise UnknownNameError("selection", name, SELECTIONS)
    return SELECTIONS[name]()
