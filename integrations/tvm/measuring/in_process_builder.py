"""Builds candidates where the search runs."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import tvm
from tvm.ir.utils import derived_object
from tvm.s_tir.meta_schedule.builder import BuilderInput, BuilderResult, PyBuilder
from tvm.s_tir.transform import RemoveWeightLayoutRewriteBlock
from tvm.support import cc

from costmodel.calibration.measurers.tvm_compiler import last_line
from costmodel.errors import UsageError

__all__ = ["InProcessBuilder"]


@derived_object
class InProcessBuilder(PyBuilder):  # type: ignore[misc]  # TVM has no types
    """Compiles candidates one after the other in this process, each to a shared library in a folder of its own.

    TVM's own ``LocalBuilder`` starts new processes for every round, each of which imports TVM and its tensor intrinsics
    again: ten seconds of CPU on the machine that this was written on, more than compiling a round of 64 takes.  A
    candidate that does not compile is a result with a reason.  What is compiled is not run here, so nothing that it
    does can end the search; only a compiler that hangs would.

    MetaSchedule's own callback removes the folders once the candidates were measured.

    Args:
        linker: Command that links the libraries, a C or C++ compiler for the device such as
            ``aarch64-linux-gnu-g++``; by default this machine's.

    Raises:
        UsageError: There is no such program.
    """

    def __init__(self, linker: str | None = None) -> None:
        super().__init__()
        if linker is not None and shutil.which(linker) is None:
            raise UsageError(f"found no program {linker!r} to link with. Install it, or give its path.")
        self.linker = linker

    def build(self, build_inputs: list[Any]) -> list[Any]:
        """Paths of the libraries, or why there is none, in the order of the candidates."""
        settings = {} if self.linker is None else {"fcompile": partial(cc.create_shared, cc=self.linker)}
        return [_built(build_input, settings) for build_input in build_inputs]


def _built(build_input: BuilderInput, settings: Mapping[str, Any]) -> BuilderResult:
    path = Path(mkdtemp(prefix="costmodel-tvm-")) / "candidate.so"
    try:
        module = RemoveWeightLayoutRewriteBlock(skip_tensor_rewrite=True)(build_input.mod)
        tvm.compile(module, target=build_input.target).export_library(str(path), **settings)
    except Exception as error:  # TVM's exceptions and the linker's share no base class but Exception
        shutil.rmtree(path.parent)
        return BuilderResult(None, f"does not compile: {last_line(error)}")
    return BuilderResult(str(path), None)
