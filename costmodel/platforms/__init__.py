"""What a platform is, how platforms are named, and how a typed name finds them."""

from costmodel.platforms.measured import measured_platform, named_platform, platform_slug
from costmodel.platforms.platform import Layout, Platform, PlatformKind, platform_name
from costmodel.platforms.registry import PlatformRegistry
from costmodel.platforms.timm import timm_platform

__all__ = [
    # the data
    "Layout",
    "Platform",
    "PlatformKind",
    # names
    "PlatformRegistry",
    "platform_name",
    "platform_slug",
    # where platforms come from
    "measured_platform",
    "named_platform",
    "timm_platform",
]
