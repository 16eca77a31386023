"""Timing with torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING

from pydantic import JsonValue

from costmodel.calibration.measurers.base import Measurer, RunTimes
from costmodel.calibration.measurers.calls import refusal, time_runs
from costmodel.errors import UsageError
from costmodel.platforms.environment import Environment

if TYPE_CHECKING:
    import onnx
    import torch
    from torch import nn

__all__ = ["TorchMeasurer"]

_TYPE_NAMES = {"fp32": "float32", "bf16": "bfloat16"}


class TorchMeasurer(Measurer):
    """Times a torch module on the CPU, in inference mode.

    Models come as ONNX and are translated to what a torch user would have written: one call after the other, with
    nothing fused that torch has no function for, unless ``compiled``.  Clocks are those of
    :class:`~costmodel.calibration.measurers.OnnxRuntimeMeasurer`.

    Args:
        threads: Threads within an operation; operations follow each other.
        precision: ``"fp32"``, or ``"bf16"`` for weights, inputs and all between.
        compiled: Whether to time what ``torch.compile`` makes of the module, which takes a C++ compiler, and the
            better part of a minute for every new model.

    Raises:
        UsageError: An argument outside the values above.
    """

    def __init__(self, threads: int = 1, precision: str = "fp32", compiled: bool = False) -> None:
        if threads < 1:
            raise UsageError(f"expected at least 1 thread, got {threads}.")
        if precision not in _TYPE_NAMES:
            raise UsageError(f"unknown precision {precision!r} for torch; expected one of {', '.join(_TYPE_NAMES)}.")
        self.threads = threads
        self.precision = precision
        self.compiled = compiled

    def environment(self) -> Environment:
        """This machine and the installed torch."""
        return Environment.capture(runtime="torch", runtime_version=version("torch"), threads=self.threads)

    def settings(self) -> Mapping[str, JsonValue]:
        """Precision, and whether modules are compiled."""
        return {"precision": self.precision, "compiled": self.compiled}

    def _visit(self, model: bytes, runs: int) -> RunTimes:
        import torch

        with _threads(self.threads), torch.inference_mode():
            run = self._prepare(_parse(model))
            run()
            if self.compiled:
                run()  # the first one compiled
            return time_runs(run, runs, threads=self.threads)

    def _prepare(self, model: onnx.ModelProto) -> Callable[[], None]:
        """What runs the model once."""
        import torch

        from costmodel.calibration.measurers.torch_module import onnx_module, random_inputs

        dtype: torch.dtype = getattr(torch, _TYPE_NAMES[self.precision])
        module = onnx_module(model).to(dtype)
        inputs = [tensor.to(dtype) if tensor.is_floating_point() else tensor for tensor in random_inputs(model)]
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
        return torch.compile(module, options={"cpp.threads": self.threads})


def _parse(model: bytes) -> onnx.ModelProto:
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # ships no types

    try:
        return onnx.load_from_string(model)
    except DecodeError as error:
        raise refusal("the model is no ONNX model", error) from error


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Let operations use ``count`` threads inside."""
    import torch

    previous = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(previous)
