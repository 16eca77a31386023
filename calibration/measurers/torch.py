"""Timing with torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING

from pydantic import JsonValue

from costmodel.calibration.measurers.base import Measurer, RunTimes
from costmodel.calibration.measurers.calls import refusal
from costmodel.errors import UsageError
from costmodel.platforms.environment import Environment

if TYPE_CHECKING:
    import onnx
    import torch
    from torch import nn

__all__ = ["TorchMeasurer"]

_TYPE_NAMES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


class TorchMeasurer(Measurer):
    """Times a torch module, in inference mode.

    Models come as ONNX and are translated to what a torch user would have written: one call after the other, with
    nothing fused that torch has no function for, unless ``compiled``.  Clocks on the CPU are those of
    :class:`~costmodel.calibration.measurers.OnnxRuntimeMeasurer`; on a graphics card the wall clock runs from the
    first launch to the end of the last kernel, inputs being there already.

    Args:
        threads: Threads within an operation on the CPU; operations follow each other.
        precision: ``"fp32"``, or ``"bf16"`` or ``"fp16"`` for weights, inputs and all between.
        compiled: Whether to time what ``torch.compile`` makes of the module, which takes a C++ compiler, and the
            better part of a minute for every new model.
        device: ``"cpu"``, or ``"cuda"`` for the first graphics card; measurements on it take turns, also those of
            other processes.

    Raises:
        UsageError: An argument outside the values above, or a device that is not here.
    """

    def __init__(self, threads: int = 1, precision: str = "fp32", compiled: bool = False, device: str = "cpu") -> None:
        from costmodel.calibration.measurers.torch_device import TorchDevice

        if threads < 1:
            raise UsageError(f"expected at least 1 thread, got {threads}.")
        if precision not in _TYPE_NAMES:
            raise UsageError(f"unknown precision {precision!r} for torch; expected one of {', '.join(_TYPE_NAMES)}.")
        self.threads = threads
        self.precision = precision
        self.compiled = compiled
        self.device = device
        self._torch_device = TorchDevice(device, threads)  # says at once if it is not here

    def environment(self) -> Environment:
        """This machine, what computes, and the installed torch."""
        return Environment.capture(
            runtime="torch",
            runtime_version=version("torch"),
            threads=self.threads,
            accelerator=self._torch_device.accelerator,
        )

    def settings(self) -> Mapping[str, JsonValue]:
        """Precision, whether modules are compiled, and the device unless it is the CPU."""
        settings: dict[str, JsonValue] = {"precision": self.precision, "compiled": self.compiled}
        return settings if self.device == "cpu" else {**settings, "device": self.device}

    def _reference_ms(self) -> float:
        return self._torch_device.reference_ms()

    def _visit(self, model: bytes, runs: int) -> RunTimes:
        return self._torch_device.time(self._prepare(_parse(model)), runs, warm_ups=2 if self.compiled else 1)

    def _prepare(self, model: onnx.ModelProto) -> Callable[[], None]:
        """What runs the model once."""
        import torch

        from costmodel.calibration.measurers.torch_module import onnx_module, random_inputs

        dtype: torch.dtype = getattr(torch, _TYPE_NAMES[self.precision])
        module = onnx_module(model).to(self.device, dtype)
        inputs = [
            tensor.to(self.device, dtype if tensor.is_floating_point() else tensor.dtype)
            for tensor in random_inputs(model)
        ]
        callee: Callable[..., object] = module
        problem = "torch does not run the model"
        if self.compiled:
            callee = self._compile(module)
            problem = "torch.compile, which needs a C++ compiler such as g++, fails on the model"

        def run() -> None:
            try:
                callee(*inputs)
            except Exception as error:  # torch's exceptions share no base class but Exception
                raise refusal(problem, error) from error

        return run

    def _compile(self, module: nn.Module) -> Callable[..., object]:
        import torch

        torch.compiler.reset()  # code of earlier models would pile up
        # Said here, the number of threads is part of the key that compiled code is kept under.
        return torch.compile(module, options={"cpp.threads": self.threads} if self.device == "cpu" else None)


def _parse(model: bytes) -> onnx.ModelProto:
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # ships no types

    try:
        return onnx.load_from_string(model)
    except DecodeError as error:
        raise refusal("the model is no ONNX model", error) from error
