"""Measurers by the name of their runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from costmodel.calibration.measurers.base import Measurer
from costmodel.calibration.measurers.onnxruntime import OnnxRuntimeMeasurer
from costmodel.calibration.measurers.torch import TorchMeasurer
from costmodel.calibration.measurers.tvm_rpc import TvmRpcMeasurer
from costmodel.errors import UnknownNameError

__all__ = ["MEASURERS", "measurer_for"]

MEASURERS: Mapping[str, Callable[..., Measurer]] = {
    "onnxruntime": OnnxRuntimeMeasurer,
    "torch": TorchMeasurer,
    "tvm-rpc": TvmRpcMeasurer,
}
"""Each takes at least the keywords ``threads``, ``precision`` and ``device``; ``tvm-rpc`` needs to be told where its
tracker is, too."""


def measurer_for(runtime: str) -> Callable[..., Measurer]:
    """What makes the measurer of ``runtime``.

    Raises:
        UnknownNameError: No measurer for it.
    """
    if runtime not in MEASURERS:
        raise UnknownNameError("runtime", runtime, MEASURERS)
    return MEASURERS[runtime]
