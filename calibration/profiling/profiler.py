"""The process that runs models with onnxruntime's profiler on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import TYPE_CHECKING, Self

from costmodel.calibration.child import Child
from costmodel.calibration.measurers.onnxruntime import OnnxRuntimeMeasurer
from costmodel.calibration.profiling.events import ProfiledRuns, read_events
from costmodel.calibration.profiling.kernel_nodes import KernelNodes, name_nodes
from costmodel.calibration.shapes import fix_batch
from costmodel.calibration.sources import ModelSource
from costmodel.data.model_profile import KernelTime, ModelProfile
from costmodel.errors import CostModelError, MeasurementError
from costmodel.platforms.environment import default_platform_name

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto

__all__ = ["Profiler"]


@dataclass(frozen=True, slots=True)
class _Request:
    source: ModelSource
    batch: int | None
    runs: int
    platform: str


@dataclass(frozen=True, slots=True)
class _Failed:
    reason: str


class Profiler:
    """Profiles models in a child process, so that one which crashes or hangs takes nothing else with it.

    Args:
        measurer: The sessions to profile.
        platform: What to call the platform; by default made from the environment.
        time_limit_s: A model that takes longer is given up.
    """

    def __init__(
        self, measurer: OnnxRuntimeMeasurer, *, platform: str | None = None, time_limit_s: float = 120.0
    ) -> None:
        environment = measurer.environment()
        self._platform = platform or default_platform_name(environment, measurer.precision)
        self._time_limit_s = time_limit_s
        self._child = Child(_ProfiledSession(measurer), {"OMP_NUM_THREADS": str(environment.threads)})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._child.close()

    def profile(self, source: ModelSource, *, batch: int | None = None, runs: int = 10) -> ModelProfile:
        """Run a model and note what each kernel takes.

        Args:
            source: The model.
            batch: Batch to run at; ``None`` for the model's own, 1 where that is symbolic.
            runs: How often to run it beside the first time; the faster half of them counts.

        Raises:
            MeasurementError: It cannot be read, does not run, crashes or hangs.
        """
        request = _Request(source, batch, runs, self._platform)
        answer = next(self._child.messages(request, self._time_limit_s))
        if isinstance(answer, ModelProfile):
            return answer
        assert isinstance(answer, _Failed)
        raise MeasurementError(f"{source.name}: {answer.reason}")


@dataclass(frozen=True, slots=True)
class _ProfiledSession:
    """What the child does."""

    measurer: OnnxRuntimeMeasurer

    def prepare(self) -> None:
        self.measurer.prepare()

    def answer(self, request: _Request, tell: Callable[[object], None]) -> ModelProfile | _Failed:  # noqa: ARG002
        try:
            model = request.source.load()
            fix_batch(model, request.batch)
            name_nodes(model)
            profiled, optimized = self._run(model, request.runs)
        except CostModelError as error:
            return _Failed(str(error))
        except Exception as error:  # whatever a reader or the runtime throws must not end the others
            return _Failed(f"{type(error).__name__}: {error}")
        nodes = KernelNodes(model.graph, optimized)
        return ModelProfile(
            model=request.source.name,
            platform=request.platform,
            runs=profiled.runs,
            run_ms=profiled.run_ms,
            kernels=tuple(
                KernelTime(
                    name=kernel.name, op_type=kernel.op_type, node=nodes.node_of(kernel.name), time_ms=kernel.time_ms
                )
                for kernel in profiled.kernels
            ),
        )

    def _run(self, model: ModelProto, runs: int) -> tuple[ProfiledRuns, GraphProto | None]:
        """What the kernels take, and the graph that they are of."""
        with TemporaryDirectory(prefix="costmodel-profile-") as folder:
            optimized = Path(folder) / "optimized.onnx"
            events = self.measurer.profile_runs(model.SerializeToString(), runs, Path(folder) / "profile", optimized)
            return read_events(events), _graph(optimized)


def _graph(path: Path) -> GraphProto | None:
    import onnx

    if not path.exists():
        return None
    return onnx.load(path, load_external_data=False).graph
