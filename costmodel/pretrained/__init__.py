"""Shipped weights, and the folder format they are kept in."""

from costmodel.pretrained.bundle import (
    Bundle,
    BundleConfig,
    RawPrediction,
    load_bundle,
    pretrained_names,
    save_bundle,
)

__all__ = ["Bundle", "BundleConfig", "RawPrediction", "load_bundle", "pretrained_names", "save_bundle"]
