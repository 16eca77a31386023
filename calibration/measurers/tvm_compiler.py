"""From an ONNX model to a library that a TVM server can load."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from warnings import catch_warnings, simplefilter

from pydantic import JsonValue

from costmodel.errors import MeasurementError

__all__ = ["TvmCompiler", "last_line"]


@dataclass(frozen=True)
class TvmCompiler:
    """Compiles models and keeps the libraries: a campaign comes back to each model many times.

    Attributes:
        target: What to compile for, as TVM writes it, e.g. ``{"kind": "llvm", "mcpu": "cortex-a72"}``.
        opt_level: TVM's optimisation level, 0 to 3.
        linker: Command that links on this machine, e.g. ``"aarch64-linux-gnu-g++"``; ``None`` leaves it to the server,
            which needs a C++ compiler then.
        folder: Where the libraries are kept.
    """

    target: Mapping[str, JsonValue]
    opt_level: int
    linker: str | None
    folder: str

    def library(self, model: bytes) -> Path:
        """The file to send to a server; compiled at the first call for a model, whichever process that is in.

        The graph is fused and laid out by TVM's own pipelines, with the kernels that it writes without tuning.

        Args:
            model: A serialised ONNX model with weights, all input shapes fixed.

        Raises:
            MeasurementError: TVM cannot read the model, or cannot compile it for the target.
        """
        path = Path(self.folder) / f"{sha256(model).hexdigest()}{'.so' if self.linker else '.tar'}"
        if not path.exists():
            unfinished = path.with_stem(f"{path.stem}-{os.getpid()}")
            self._compile(model, unfinished)
            unfinished.replace(path)
        return path

    def _compile(self, model: bytes, path: Path) -> None:
        import onnx
        import tvm
        from tvm import relax
        from tvm.relax.frontend.onnx import from_onnx
        from tvm.support import cc

        link = cc.cross_compiler(self.linker) if self.linker else None
        try:
            with catch_warnings():
                simplefilter("ignore")  # of what matters, an error follows
                module = relax.get_pipeline("zero")(from_onnx(onnx.load_from_string(model)))
            with tvm.transform.PassContext(opt_level=self.opt_level):
                executable = tvm.compile(module, tvm.target.Target(dict(self.target)))
            executable.export_library(str(path), fcompile=link)
        except Exception as error:  # TVM's exceptions, protobuf's and the linker's share no base class but Exception
            raise MeasurementError(f"TVM does not compile the model: {last_line(error)}") from error


def last_line(error: Exception) -> str:
    """What an exception of TVM says, whose messages begin with the calls that led there."""
    return (str(error).strip() or type(error).__name__).splitlines()[-1][:300]
