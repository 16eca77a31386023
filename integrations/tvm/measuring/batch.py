"""Candidates built, run, and their libraries removed."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tvm.s_tir.meta_schedule.builder import BuilderInput
from tvm.s_tir.meta_schedule.runner import RunnerInput, RunnerResult

from costmodel.calibration.measurers.tvm_target import device_of

__all__ = ["measured_batch"]


def measured_batch(
    modules: Sequence[Any], arguments: Sequence[Any], target: Any, builder: Any, runner: Any
) -> list[Any]:
    """TVM's runner results of programs, in their order; of one that does not build, why.

    Args:
        modules: Each an ``IRModule`` with one function of TIR.
        arguments: What each is run on, as TVM's ``ArgInfo``.
        target: What to compile for.
        builder: How to build.
        runner: How to time.
    """
    built = builder.build([BuilderInput(module, target) for module in modules])
    usable = [index for index, result in enumerate(built) if result.error_msg is None]
    device = device_of({"kind": target.kind.name})
    inputs = [RunnerInput(built[index].artifact_path, device, arguments[index]) for index in usable]
    results = [RunnerResult(None, result.error_msg) for result in built]
    try:
        for index, future in zip(usable, runner.run(inputs), strict=True):
            results[index] = future.result()
    finally:
        for index in usable:
            shutil.rmtree(Path(str(built[index].artifact_path)).parent, ignore_errors=True)
    return results
