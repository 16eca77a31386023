"""Platforms of timm's published benchmarks, read from the labels of its result files.

Source: the file names ``benchmark-infer-LABEL.csv`` under ``results/`` in
https://github.com/huggingface/pytorch-image-models.
"""

from __future__ import annotations

import re

from costmodel.errors import DataError
from costmodel.platforms.platform import Layout, Platform, PlatformKind, platform_name

__all__ = ["timm_platform"]

_LABEL = re.compile(
    r"(?P<precision>[a-z0-9]+)-(?P<layout>nchw|nhwc)-pt(?P<version>\d{3})"
    r"-(?P<backend>cpu|cu\d+)-(?P<device>[a-z0-9_]+?)(?P<compiled>-dynamo)?"
)


def timm_platform(label: str) -> Platform:
    """The platform a timm benchmark label speaks of; the label becomes its alias.

    Names on graphics cards carry the memory layout, because timm timed both.

    >>> timm_platform("amp-nhwc-pt240-cu124-rtx3090").name
    'rtx3090-pt2.4-amp-nhwc'

    Raises:
        DataError: The label is not written the way timm writes them.
    """
    match = _LABEL.fullmatch(label)
    if match is None:
        raise DataError(
            f"{label!r} is not a timm benchmark label; expected PRECISION-LAYOUT-ptVERSION-BACKEND-DEVICE[-dynamo], "
            "e.g. 'amp-nhwc-pt240-cu124-rtx3090'."
        )
    kind = PlatformKind.CPU if match["backend"] == "cpu" else PlatformKind.GPU
    device = _device(match["device"], kind)
    runtime = f"pt{_torch_version(match['version'])}"
    precision = match["precision"]
    layout = Layout(match["layout"])
    compiled = match["compiled"] is not None
    return Platform(
        name=platform_name(
            device,
            runtime,
            precision,
            layout=layout if kind is PlatformKind.GPU else None,
            compiled=compiled,
        ),
        device=device,
        kind=kind,
        runtime=runtime,
        precision=precision,
        layout=layout,
        compiled=compiled,
        aliases=(label,),
        source="timm inference benchmark",
    )


def _device(written: str, kind: PlatformKind) -> str:
    """The same card is written as ``4090`` and as ``rtx4090``."""
    if kind is PlatformKind.GPU and written.isdecimal():
        return f"rtx{written}"
    return written.replace("_", "-")


def _torch_version(digits: str) -> str:
    """``240`` is 2.4.0, but ``113`` is 1.13: torch 1 had two-digit minor versions, torch 2 had none yet."""
    major, minor = digits[0], digits[1:] if digits[0] == "1" else digits[1]
    return f"{major}.{minor}"
