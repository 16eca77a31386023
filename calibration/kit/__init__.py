"""Measuring on a device elsewhere: a kit goes there, with models and a runner; its results come back."""

from costmodel.calibration.kit.export_kit import export_kit
from costmodel.calibration.kit.import_kit import KitResults, import_kit
from costmodel.calibration.kit.manifest import KitModel, KitSettings, Manifest

__all__ = [
    # there
    "export_kit",
    # and back
    "KitResults",
    "import_kit",
    # what a kit holds
    "KitModel",
    "KitSettings",
    "Manifest",
]
