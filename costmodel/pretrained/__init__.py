"""Shipped weights, and the folder format they are kept in.

Names are imported when first used, so that listing platforms does not load torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costmodel.lazy import lazy_names

if TYPE_CHECKING:
    from costmodel.pretrained.bundle import Bundle, BundleConfig, RawPrediction, load_bundle, save_bundle
    from costmodel.pretrained.folder import pretrained_names, pretrained_platforms

__all__ = [
    # weights in memory
    "Bundle",
    "BundleConfig",
    "RawPrediction",
    "load_bundle",
    "save_bundle",
    # weights at rest
    "pretrained_names",
    "pretrained_platforms",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Bundle": "costmodel.pretrained.bundle",
        "BundleConfig": "costmodel.pretrained.bundle",
        "RawPrediction": "costmodel.pretrained.bundle",
        "load_bundle": "costmodel.pretrained.bundle",
        "pretrained_names": "costmodel.pretrained.folder",
        "pretrained_platforms": "costmodel.pretrained.folder",
        "save_bundle": "costmodel.pretrained.bundle",
    },
)
