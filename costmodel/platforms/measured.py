"""Platforms that users measured: described by a journal's environment, or by nothing but a name."""

from __future__ import annotations

import re

from costmodel.errors import DataError
from costmodel.platforms.environment import Environment, device_slug, runtime_slug
from costmodel.platforms.platform import Platform, PlatformKind

__all__ = ["measured_platform", "named_platform", "platform_slug"]


def measured_platform(name: str, environment: Environment, precision: str = "fp32") -> Platform:
    """The platform that a journal of measurements was made on.

    Args:
        name: Canonical name.
        environment: The machine and the runtime.
        precision: What the runtime computed in.
    """
    return Platform(
        name=name,
        device=device_slug(environment),
        kind=PlatformKind.GPU if environment.accelerator else PlatformKind.CPU,
        runtime=runtime_slug(environment),
        precision=precision,
        threads=None if environment.accelerator else environment.threads,
        environment=environment.model_dump(mode="json"),
        source="measured with costmodel measure",
    )


def platform_slug(name: str) -> str:
    """``name`` as platforms are called: lower-case letters, digits, dots and dashes; empty if nothing is left."""
    return re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-.")


_SCHEME = re.compile(r"(?P<device>.+?)-(?P<runtime>(?:ort|pt)\d+(?:\.\d+)*)-(?P<precision>.+?)(?:-(?P<threads>\d+)t)?")
"""How names are made of what a platform is, e.g. ``xeon-8488c-ort1.32-fp32-1t``."""


def named_platform(name: str) -> Platform:
    """A platform of which only the name is known, such as one in a table of measurements.

    A name of the form device-runtime-precision(-threads) says what it is; of others only the name is known.

    Raises:
        DataError: The name has no letter or digit to make a platform name of.
    """
    slug = platform_slug(name)
    if not slug:
        raise DataError(f"{name!r} is no platform name: it needs at least one letter or digit.")
    kind = PlatformKind.GPU if re.search(r"gpu|cuda|rtx|gtx|\d+ti", slug) else PlatformKind.CPU
    parts = _SCHEME.fullmatch(slug)
    return Platform(
        name=slug,
        device=parts["device"] if parts else slug,
        kind=kind,
        runtime=parts["runtime"] if parts else "unknown",
        precision=parts["precision"] if parts else "unknown",
        threads=int(parts["threads"]) if parts and parts["threads"] else None,
        aliases=() if slug == name else (name,),
        source="a table of measurements",
    )
