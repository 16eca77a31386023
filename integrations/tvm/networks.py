"""From an ONNX file to a Relax module, and from that to a program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings, simplefilter

import tvm
from tvm import relax
from tvm.relax import pipeline

from costmodel.calibration.measurers.tvm_compiler import last_line
from costmodel.errors import ModelFileError, UnsupportedModelError, UsageError
from costmodel.integrations.tvm.workloads import legalised

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["compile_network", "import_onnx", "load_onnx"]

_TO_CALLS = (
    relax.transform.RewriteDataflowReshape(),
    relax.transform.ToNonDataflow(),
    relax.transform.RemovePurityChecking(),
    relax.transform.CallTIRRewrite(),
)
"""TVM's own passes between fusion and ``finalize_passes``; ``pipeline.dataflow_lower_passes`` fails for processors."""


def load_onnx(
    path: str | Path, *, shapes: Mapping[str, Sequence[int]] | None = None, batch: int | None = None
) -> ModelProto:
    """Read an ONNX file with all its weights, and fix the sizes of its inputs.

    Args:
        path: The file.
        shapes: Sizes of inputs that the file leaves open, by the name of the input.
        batch: Size of the leading dims that it leaves open; 1, if not given.

    Raises:
        ModelFileError: The file or its weights cannot be read, or are no model.
        UsageError: ``shapes`` or ``batch`` contradict the file, or a size is not given.
        UnsupportedModelError: The operator set is older than 7.
    """
    from costmodel.graph.onnx.bind import bind_inputs
    from costmodel.graph.onnx.normalize import normalize

    read = _read(Path(path))
    if not read.graph.node:
        raise ModelFileError(f"{path} has no operations; expected an ONNX model.")
    model = normalize(read)
    fixed = {name: tuple(int(size) for size in shape) for name, shape in (shapes or {}).items()}
    if bind_inputs(model.graph, fixed, batch) is not None:
        raise UsageError(f"{path} has another batch than {batch} in its inputs; export it at that batch.")
    return model


def import_onnx(model: ModelProto) -> Any:
    """The network as a Relax module, with its weights in it.

    Args:
        model: See :func:`load_onnx`.

    Raises:
        UnsupportedModelError: TVM's importer does not take it.
    """
    from tvm.relax.frontend.onnx import from_onnx

    try:
        with catch_warnings():
            simplefilter("ignore")  # of what matters, an error follows
            return from_onnx(model)
    except Exception as error:  # TVM's exceptions share no base class but Exception
        raise UnsupportedModelError(
            f"TVM's importer does not take the model: {last_line(error)}. `costmodel predict` may still read it."
        ) from error


def compile_network(module: Any, target: Any, database: Any = None) -> Any:
    """Compile a network; where a database has records of one of its tasks, as the fastest of them says.

    The passes are those that :func:`~costmodel.integrations.tvm.workloads.extract_tasks` finds tasks with, so that all
    records are found again; TVM's ``compile_relax`` has others.

    Args:
        module: A Relax module that is not legalised, weights in it.
        target: What to compile for.
        database: With records of tasks that ``extract_tasks`` found in the module; ``None`` for the program without
            tuning.

    Returns:
        TVM's executable: ``export_library(path)`` writes it to a file, ``relax.VirtualMachine`` runs it.

    Raises:
        UnsupportedModelError: TVM cannot compile it.
    """
    try:
        dispatched = tvm.transform.Sequential(pipeline.library_dispatch_passes(target))(module)
        fused = legalised(dispatched, target)
        with target, tvm.transform.PassContext(opt_level=3):
            if database is not None:
                with database:
                    fused = relax.transform.MetaScheduleApplyDatabase()(fused)
            lowering = tvm.transform.Sequential([*_TO_CALLS, *pipeline.finalize_passes(target)])
            return tvm.compile(fused, target, relax_pipeline=lowering)
    except Exception as error:  # TVM's exceptions share no base class but Exception
        raise UnsupportedModelError(
            f"TVM does not compile the network: {last_line(error)}. Another target may do."
        ) from error


def _read(path: Path) -> ModelProto:
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # ships no types
    from onnx.checker import ValidationError

    try:
        return onnx.load(path)
    except DecodeError as error:
        raise ModelFileError(f"{path} is not an ONNX model: its bytes do not parse.") from error
    except OSError as error:
        raise ModelFileError(f"cannot read {error.filename or path}: {error.strerror}.") from error
    except (ValidationError, ValueError) as error:
        raise ModelFileError(
            f"cannot read the weights of {path}: {last_line(error)}. Copy the files beside it as well."
        ) from error
