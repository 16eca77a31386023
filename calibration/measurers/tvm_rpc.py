"""Timing with TVM on another device, reached through a tracker."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import version
from shutil import rmtree, which
from tempfile import mkdtemp
from weakref import finalize

from pydantic import JsonValue

from costmodel.calibration.measurers.base import Measurer, RunTimes, VisitTiming
from costmodel.calibration.measurers.random_inputs import random_inputs
from costmodel.calibration.measurers.tvm_compiler import TvmCompiler
from costmodel.calibration.measurers.tvm_device import TvmDevice
from costmodel.calibration.measurers.tvm_session import TvmSession, TvmTracker
from costmodel.calibration.measurers.tvm_target import CPU, default_target, device_of
from costmodel.calibration.measurers.tvm_versions import require_tvm
from costmodel.data.records import Clock
from costmodel.errors import MeasurementError, UsageError
from costmodel.platforms.environment import Environment

__all__ = ["TvmRpcMeasurer"]

_REFERENCE_SIZE = 192
"""14 MFLOP: milliseconds on a desktop's core, tens of them on a small board's, with TVM's untuned product."""

_REFERENCE_RUNS = 3

_UNKNOWN = "unknown"


class TvmRpcMeasurer(Measurer):
    """Compiles models here and times them where a TVM server runs.

    A visit takes one server of the key from the tracker, sends the library, and gives the server back; the reference
    kernel, a matrix product compiled like a model, runs there too, before and after.  Times are by the device's wall
    clock, so nothing else should run on it.  Kernels are TVM's untuned ones.

    With several servers, let a :class:`~costmodel.calibration.Campaign` have as many workers.  A server that dies
    costs an attempt, no more; but a server of TVM 0.27 stops serving, without ending, when a model crashes in it.

    Args:
        host: Machine that the tracker runs on.
        port: Its port, TVM's default is 9190.
        key: What the servers registered under; one key for one kind of device.
        threads: Threads that run one model.
        target: What to compile for, as TVM writes it; the default suits devices like this machine, and a board needs
            e.g. ``{"kind": "llvm", "mtriple": "aarch64-linux-gnu", "mcpu": "cortex-a72", "num-cores": 4}``.
        precision: ``"fp32"``; models run in the types that they are stored in.
        device: What computes there, as TVM calls it, e.g. ``"cpu"`` or ``"opencl"``; by default what the target is for.
            Without a target, one is made for it.
        processor: What the processor is called; by default what LLVM calls it there, or else the key.
        opt_level: TVM's optimisation level, 0 to 3.
        linker: Command that links libraries on this machine, e.g. ``"aarch64-linux-gnu-g++"``; ``None`` when the
            device has a C++ compiler itself.
        wait_s: Seconds that a visit waits for a free server.
        session_limit_s: Seconds after which a server ends a visit by itself; more than a campaign's time limit.

    Raises:
        MissingDependencyError: TVM, or a package that it needs, is not installed.
        MeasurementError: TVM is installed in another version than the one known to work.
        UsageError: An argument outside the values above, a device that the target is not for, or a linker that is not
            installed.
    """

    def __init__(
        self,
        host: str,
        port: int,
        key: str,
        *,
        threads: int = 1,
        precision: str = "fp32",
        target: Mapping[str, JsonValue] | None = None,
        device: str | None = None,
        processor: str | None = None,
        opt_level: int = 3,
        linker: str | None = None,
        wait_s: float = 30.0,
        session_limit_s: float = 600.0,
    ) -> None:
        if threads < 1:
            raise UsageError(f"expected at least 1 thread, got {threads}.")
        if precision != "fp32":
            raise UsageError(f"TVM runs models in fp32, not in {precision!r}; leave the precision out.")
        if opt_level not in range(4):
            raise UsageError(f"expected an optimisation level from 0 to 3, got {opt_level}.")
        if linker and which(linker) is None:
            raise UsageError(
                f"found no program {linker!r} to link with. Install it or give its path, or name none where the device "
                "has a C++ compiler itself."
            )
        target = target or default_target(device or CPU, threads)
        self.threads = threads
        self.device = device_of(target)
        if device not in (None, self.device):
            raise UsageError(
                f"the target {dict(target)} is for the device {self.device!r}, not for {device!r}. Leave one of the "
                "two out."
            )
        require_tvm("Measuring over TVM's RPC")
        self._processor = processor
        self._tracker = TvmTracker(host, port, key, wait_s, session_limit_s)
        folder = mkdtemp(prefix="costmodel-tvm-")
        finalize(self, rmtree, folder, ignore_errors=True)  # here, and not in the processes that get a copy
        self._compiler = TvmCompiler(target, opt_level, linker, folder)
        self._asked: TvmDevice | None = None
        self._session: TvmSession | None = None

    def environment(self) -> Environment:
        """The device, as far as its server knows it; asked at the first call.

        Raises:
            NoDeviceError: The tracker does not answer, or no server becomes free in time.
            MeasurementError: The server does not answer.
        """
        self._asked = self._asked or TvmDevice.ask(self._tracker)
        return Environment(
            cpu=self._processor or self._asked.processor or self._tracker.key,
            logical_cores=self._asked.cores,
            os=self._asked.triple or _UNKNOWN,
            kernel=_UNKNOWN,
            python=_UNKNOWN,
            runtime="tvm",
            runtime_version=version("apache-tvm"),
            threads=self.threads,
            accelerator=None if self.device == CPU else self._tracker.key,
        )

    def settings(self) -> Mapping[str, JsonValue]:
        """Target, optimisation level, key, and the version of TVM's other half."""
        return {
            "target": dict(self._compiler.target),
            "opt_level": self._compiler.opt_level,
            "key": self._tracker.key,
            "apache-tvm-ffi": version("apache-tvm-ffi"),
        }

    def prepare(self) -> None:
        """Import TVM, which takes seconds, and compile the reference kernel."""
        import_module("tvm.relax.frontend.onnx")
        self._compiler.library(_reference_model())

    def measure_visit(self, model: bytes, *, runs: int) -> VisitTiming:
        """One visit, all of it on one server, which is not kept waiting while the model is compiled."""
        for needed in (model, _reference_model()):
            self._compiler.library(needed)
        with self._tracker.session() as session:
            session.use_threads(self.threads)
            self._session = session
            try:
                return super().measure_visit(model, runs=runs)
            finally:
                self._session = None

    def _visit(self, model: bytes, runs: int) -> RunTimes:
        return RunTimes(self._time_ms(model, runs), Clock.WALL, wall_cpu_ratio=None)

    def _reference_ms(self) -> float:
        return min(self._time_ms(_reference_model(), _REFERENCE_RUNS))

    def _time_ms(self, model: bytes, runs: int) -> tuple[float, ...]:
        from onnx import load_from_string

        if self._session is None:
            raise MeasurementError("no server was taken; call measure_visit().")
        inputs = random_inputs(load_from_string(model))
        return self._session.time_ms(self._compiler.library(model), inputs, self.device, runs)


@cache
def _reference_model() -> bytes:
    """A product of two float32 matrices."""
    from onnx import TensorProto, helper

    shape = [_REFERENCE_SIZE, _REFERENCE_SIZE]
    left, right, product = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in "abc")
    graph = helper.make_graph([helper.make_node("MatMul", ["a", "b"], ["c"])], "product", [left, right], [product])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())
