"""Shipped weights, and the folder format they are kept in.

Names are imported when first used, so that listing platforms does not load torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costmodel.lazy import lazy_names

if TYPE_CHECKING:
    from costmodel.pretrained.adapter import Adapter, AdapterCorrection, load_adapter, save_adapter, sum_by_kernel
    from costmodel.pretrained.bundle import Bundle, BundleConfig, RawPrediction, load_bundle, save_bundle
    from costmodel.pretrained.folder import pretrained_names, pretrained_platforms
    from costmodel.pretrained.saved import find_platform_folder, saved_platform_folder, saved_platforms

__all__ = [
    # weights in memory
    "Bundle",
    "BundleConfig",
    "RawPrediction",
    "load_bundle",
    "save_bundle",
    # platforms that join later
    "Adapter",
    "AdapterCorrection",
    "find_platform_folder",
    "load_adapter",
    "save_adapter",
    "saved_platform_folder",
    "saved_platforms",
    "sum_by_kernel",
    # weights at rest
    "pretrained_names",
    "pretrained_platforms",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Adapter": "costmodel.pretrained.adapter",
        "AdapterCorrection": "costmodel.pretrained.adapter",
        "Bundle": "costmodel.pretrained.bundle",
        "BundleConfig": "costmodel.pretrained.bundle",
        "RawPrediction": "costmodel.pretrained.bundle",
        "find_platform_folder": "costmodel.pretrained.saved",
        "load_adapter": "costmodel.pretrained.adapter",
        "load_bundle": "costmodel.pretrained.bundle",
        "pretrained_names": "costmodel.pretrained.folder",
        "pretrained_platforms": "costmodel.pretrained.folder",
        "save_adapter": "costmodel.pretrained.adapter",
        "save_bundle": "costmodel.pretrained.bundle",
        "saved_platform_folder": "costmodel.pretrained.saved",
        "saved_platforms": "costmodel.pretrained.saved",
        "sum_by_kernel": "costmodel.pretrained.adapter",
    },
)
