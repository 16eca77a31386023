"""Which device a target of TVM's is for."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

from costmodel.errors import UsageError

__all__ = ["CPU", "default_target", "device_of"]

CPU = "cpu"
"""TVM's name for processors."""

_CPU_KINDS = ("llvm", "c")


def default_target(device: str, threads: int) -> dict[str, JsonValue]:
    """What to compile for when only the device is known: it and its machine are taken to be like this machine's.

    Args:
        device: TVM's name for what computes, e.g. ``"cpu"`` or ``"opencl"``.
        threads: Threads that run one model.
    """
    return {"kind": "llvm", "num-cores": threads} if device == CPU else {"kind": device}


def device_of(target: Mapping[str, JsonValue]) -> str:
    """TVM's name for what a target is for; of all but processors, that is the kind itself.

    Raises:
        UsageError: The target has no kind.
    """
    kind = target.get("kind")
    if not isinstance(kind, str):
        raise UsageError(f'expected a target with a "kind", e.g. {{"kind": "llvm"}}, got {dict(target)}.')
    return CPU if kind in _CPU_KINDS else kind
