"""A platform: everything but the network that decides how long a run takes."""

from __future__ import annotations

import re
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, JsonValue

__all__ = ["Layout", "Platform", "PlatformKind", "platform_name"]


class PlatformKind(StrEnum):
    """What sort of device computes."""

    CPU = "cpu"
    GPU = "gpu"


class Layout(StrEnum):
    """Order of an image tensor's dimensions in memory."""

    NCHW = "nchw"
    NHWC = "nhwc"


class Platform(BaseModel):
    """A device with the runtime, the precision and the settings it was timed under.

    Attributes:
        name: Unique and canonical, ``device-runtime-precision(-layout)(-dynamo)(-threads)``;
            see :func:`platform_name`.
        device: Slug of the processor, e.g. ``"rtx3090"``.
        kind: Processor or graphics card.
        runtime: What runs the network, with its version, e.g. ``"ort1.32"`` or ``"pt2.4"``.
        precision: What it computes in, e.g. ``"fp32"``, ``"amp"``.
        layout: Memory order of images where that was chosen on purpose.
        compiled: Whether ``torch.compile`` rewrote the network before the clock started.
        threads: Intra-operation threads; ``None`` when the source of the measurements does not say.
        aliases: Other names that find this platform, such as the label its measurements were published under.
        environment: What else was recorded about the machine; free form.
        source: Where the measurements come from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    device: str
    kind: PlatformKind
    runtime: str
    precision: str
    layout: Layout | None = None
    compiled: bool = False
    threads: int | None = Field(default=None, ge=1)
    aliases: tuple[str, ...] = ()
    environment: dict[str, JsonValue] | None = None
    source: str = ""

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def description(self) -> str:
        """One line for people, e.g. ``"rtx3090 (gpu), pt2.4, amp, nhwc, compiled"``."""
        details = [f"{self.device} ({self.kind})", self.runtime, self.precision]
        if self.layout is not None:
            details.append(self.layout)
        if self.compiled:
            details.append("compiled")
        if self.threads is not None:
            details.append(f"{self.threads} thread{'s' if self.threads > 1 else ''}")
        return ", ".join(details)


def platform_name(
    device: str,
    runtime: str,
    precision: str,
    *,
    layout: Layout | None = None,
    compiled: bool = False,
    threads: int | None = None,
) -> str:
    """The canonical name of a platform: its parts as lower-case slugs, joined by dashes.

    >>> platform_name("Xeon 8488C", "ort1.32", "fp32", threads=1)
    'xeon-8488c-ort1.32-fp32-1t'
    """
    parts = [device, runtime, precision]
    if layout is not None:
        parts.append(layout)
    if compiled:
        parts.append("dynamo")
    if threads is not None:
        parts.append(f"{threads}t")
    return "-".join(re.sub(r"[^a-z0-9.]+", "-", part.lower()).strip("-") for part in parts)
