"""What models are measured with: the options, and the measurer that they add up to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from costmodel.errors import UsageError

if TYPE_CHECKING:
    from costmodel.calibration.measurers import Measurer

__all__ = ["MeasurerOptions", "ThreadsOption"]

_REMOTE = "tvm-rpc"
_REMOTE_OPTIONS = ("tracker", "key", "target", "linker", "workers")

_SPARE_SESSION_S = 60.0
"""A server outlasts the campaign's patience by this much; not by more, since a model that hangs keeps the device."""

ThreadsOption = Annotated[int, typer.Option(min=1, help="Threads that run one model.")]


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasurerOptions:
    """The options of every command that measures.

    Attributes:
        runtime: Name of a measurer.
        threads: Threads that run one model.
        precision: What to compute in.
        device: What computes; ``None`` for the runtime's own choice.
        tracker: Where the TVM tracker listens, as ``HOST:PORT``.
        key: What the devices' servers are registered under.
        target: What TVM compiles for, as JSON or as its kind alone.
        linker: Command that links for the device.
        workers: How many devices measure at once; ``None`` for one.
    """

    runtime: Annotated[
        str, typer.Option(metavar="NAME", help="What runs the models: onnxruntime, torch, or tvm-rpc on other devices.")
    ] = "onnxruntime"
    threads: ThreadsOption = 1
    precision: Annotated[
        str, typer.Option(metavar="NAME", help="What to compute in: fp32, or bf16 or fp16 with torch.")
    ] = "fp32"
    device: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What computes: cpu, or cuda with torch, or TVM's name for it with tvm-rpc. Default: cpu, or what "
            "--target is for.",
        ),
    ] = None
    tracker: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="tvm-rpc: where the tracker listens that knows the devices.")
    ] = None
    key: Annotated[
        str | None, typer.Option(metavar="KEY", help="tvm-rpc: what the devices' servers are registered under.")
    ] = None
    target: Annotated[
        str | None,
        typer.Option(metavar="JSON_OR_KIND", help="tvm-rpc: what to compile for. Default: devices like this machine."),
    ] = None
    linker: Annotated[
        str | None,
        typer.Option(
            metavar="PATH", help="tvm-rpc: cross compiler that links here. Default: the device's own compiler links."
        ),
    ] = None
    workers: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="tvm-rpc: how many devices measure at once.  [default: 1]")
    ] = None

    @property
    def platform_name(self) -> str:
        """What to call the platform if nobody says: ``"here"``, or the key of devices elsewhere."""
        from costmodel.platforms import platform_slug

        if self.runtime != _REMOTE or not self.key:
            return "here"
        return platform_slug(self.key) or self.key

    def measurer(self, time_limit_s: float) -> Measurer:
        """What times the models.

        Args:
            time_limit_s: After which a visit will be ended.

        Raises:
            UnknownNameError: There is no such runtime.
            UsageError: An option that goes with another runtime, is missing, or has a value that is not known.
            MissingDependencyError: A package that the runtime needs is not installed.
        """
        from costmodel.calibration.measurers import measurer_for

        make = measurer_for(self.runtime)
        device = {} if self.device is None else {"device": self.device}
        remote = self._remote(time_limit_s) if self.runtime == _REMOTE else self._nothing_remote()
        return make(threads=self.threads, precision=self.precision, **device, **remote)

    def _remote(self, time_limit_s: float) -> Mapping[str, Any]:
        from costmodel.calibration.cli.tvm_options import parse_target, parse_tracker, require_device

        tracker, key = require_device(self.tracker, self.key)
        host, port = parse_tracker(tracker)
        return {
            "host": host,
            "port": port,
            "key": key,
            "target": None if self.target is None else parse_target(self.target),
            "linker": self.linker,
            "session_limit_s": time_limit_s + _SPARE_SESSION_S,
        }

    def _nothing_remote(self) -> Mapping[str, Any]:
        for option in _REMOTE_OPTIONS:
            if getattr(self, option) is not None:
                raise UsageError(
                    f"--{option} goes with --runtime {_REMOTE}, not with --runtime {self.runtime}. Leave it out, or "
                    f"measure with --runtime {_REMOTE}."
                )
        return {}
