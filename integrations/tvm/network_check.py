"""Compiles a tuned network, and lets nothing out that computes something else or does not run."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from costmodel.calibration.measurers.random_inputs import random_inputs
from costmodel.calibration.measurers.tvm_compiler import last_line
from costmodel.errors import CostModelError, UsageError
from costmodel.files import replaced
from costmodel.integrations.tvm.measuring import NetworkRun, NetworkTimer
from costmodel.integrations.tvm.networks import compile_network

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["CheckedLibrary", "compile_checked", "largest_difference", "tolerance_of"]

logger = logging.getLogger(__name__)

_VISITS = 3
_TOLERANCE = 1e-3
_ROUGH_TOLERANCE = 2e-2


@dataclass(frozen=True)
class CheckedLibrary:
    """A compiled network that computes what it should.

    Attributes:
        path: The shared library.
        untuned_ms: CPU time of a run on one thread as TVM compiles the network without tuning.
        tuned_ms: Likewise of this library.
        tolerance: How large a difference may be.
        difference: See :func:`largest_difference`; from the outputs without tuning.
        onnxruntime_difference: Likewise from onnxruntime's; ``None`` where that is not installed, or does not take the
            model.
    """

    path: str
    untuned_ms: float
    tuned_ms: float
    tolerance: float
    difference: float
    onnxruntime_difference: float | None


def compile_checked(model: ModelProto, module: Any, target: Any, database: Any, path: Path) -> CheckedLibrary:
    """Compile a network with a database and without, and compare the two on random inputs.

    Args:
        model: The network, see :func:`~costmodel.integrations.tvm.networks.load_onnx`.
        module: The same in Relax.
        target: What to compile for.
        database: Records of its tasks.
        path: Where to put the library; replaced only by one that passed.

    Raises:
        UnsupportedModelError: TVM cannot compile the network.
        MeasurementError: A library does not run, or inputs cannot be made up.
        CostModelError: The outputs differ by more than the tolerance.
        UsageError: A library cannot be written.
    """
    inputs = random_inputs(model)
    with TemporaryDirectory(prefix="costmodel-tvm-") as folder:
        untuned, tuned = Path(folder) / "untuned.so", Path(folder) / "tuned.so"
        _export(compile_network(module, target), untuned)
        _export(compile_network(module, target, database), tuned)
        before, after = _compared(untuned, tuned, inputs)
        tolerance = tolerance_of(before.outputs)
        difference = largest_difference(before.outputs, after.outputs)
        _require(difference, tolerance, "without tuning", "Report it; until then, tune in another folder.")
        theirs = _onnxruntime_outputs(model, inputs)
        from_theirs = None if theirs is None else largest_difference(theirs, after.outputs)
        if from_theirs is not None:
            _require(from_theirs, tolerance, "in onnxruntime", "TVM's importer or compiler is wrong, tuned or not.")
        _put(tuned, path)
    return CheckedLibrary(str(path), before.latency_ms, after.latency_ms, tolerance, difference, from_theirs)


def largest_difference(expected: Sequence[np.ndarray], found: Sequence[np.ndarray]) -> float:
    """Largest difference between outputs, as a part of the largest number in the expected one.

    Infinity where number or shapes of the outputs differ, or where one has a number and the other has none; the same
    infinity in both is no difference.
    """
    if [output.shape for output in expected] != [output.shape for output in found]:
        return float("inf")
    return max((_difference(one, other) for one, other in zip(expected, found, strict=True)), default=0.0)


def tolerance_of(outputs: Sequence[np.ndarray]) -> float:
    """How large a difference may be: sums in another order are rounded otherwise, those of two bytes more so."""
    is_rough = any(output.dtype.itemsize <= 2 and output.dtype.kind not in "iub" for output in outputs)
    return _ROUGH_TOLERANCE if is_rough else _TOLERANCE


def _require(difference: float, tolerance: float, where: str, what_to_do: str) -> None:
    if difference > tolerance:
        raise CostModelError(
            f"the tuned network computes something else than {where}: outputs differ by {difference:.2g} of the "
            f"largest, expected at most {tolerance:g}. No library is written. {what_to_do}"
        )


def _export(executable: Any, path: Path) -> None:
    try:
        executable.export_library(str(path))
    except Exception as error:  # the linker's errors and the disk's share no base class but Exception
        raise UsageError(
            f"cannot write a library in {path.parent}: {last_line(error)}. TVM needs a C++ compiler to link with, and "
            "room in the folder for temporary files; TMPDIR says which one that is."
        ) from error


def _put(library: Path, path: Path) -> None:
    try:
        with replaced(path) as partial:
            copyfile(library, partial)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}. Make room, or choose another folder.") from error


def _compared(untuned: Path, tuned: Path, inputs: Sequence[np.ndarray]) -> tuple[NetworkRun, NetworkRun]:
    """What both compute, and the fastest run of each, in turns."""
    with closing(NetworkTimer()) as timer:
        turns = [[timer.visit(library, inputs) for library in (untuned, tuned)] for _ in range(_VISITS)]
    before, after = (min(of_one, key=lambda run: run.latency_ms) for of_one in zip(*turns, strict=True))
    return before, after


def _onnxruntime_outputs(model: ModelProto, inputs: Sequence[np.ndarray]) -> tuple[np.ndarray, ...] | None:
    if find_spec("onnxruntime") is None:
        return None
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4  # errors are raised as well
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        names = [value.name for value in session.get_inputs()]
        outputs = session.run(None, dict(zip(names, inputs, strict=True)))
    except Exception as error:  # onnxruntime's exceptions share no base class but Exception
        logger.warning("onnxruntime does not run the model, so outputs are not compared with its: %s", last_line(error))
        return None
    return tuple(np.asarray(output) for output in outputs)


def _difference(expected: np.ndarray, found: np.ndarray) -> float:
    one, other = expected.astype(np.float64), found.astype(np.float64)
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    if same.all():
        return 0.0
    off = np.abs(one - other)[~same]
    if not np.isfinite(off).all():
        return float("inf")
    largest = np.abs(one[np.isfinite(one)]).max()
    return float(off.max() / largest) if largest else float("inf")
