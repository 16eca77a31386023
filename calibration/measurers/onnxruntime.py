"""Timing with onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import JsonValue

from costmodel.calibration.measurers.base import Measurer, RunTimes
from costmodel.calibration.measurers.calls import refusal, time_runs
from costmodel.calibration.measurers.random_inputs import random_array
from costmodel.errors import MeasurementError, MissingDependencyError, UsageError
from costmodel.platforms.environment import Environment

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["GRAPH_OPTIMIZATIONS", "OnnxRuntimeMeasurer", "session_options"]

_CPU_PROVIDER = "CPUExecutionProvider"

_OPTIMIZATION_LEVELS = {
    "none": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "all": "ORT_ENABLE_ALL",
}

GRAPH_OPTIMIZATIONS = tuple(_OPTIMIZATION_LEVELS)
"""Levels of graph optimisation, from none to all."""

_NUMPY_TYPES: dict[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(int16)": np.int16,
    "tensor(int8)": np.int8,
    "tensor(uint64)": np.uint64,
    "tensor(uint32)": np.uint32,
    "tensor(uint16)": np.uint16,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
}


class OnnxRuntimeMeasurer(Measurer):
    """Times ``InferenceSession.run``.

    With one thread on the CPU, onnxruntime runs the model on the calling thread, so that thread's CPU time is the
    latency without what other processes take; what they do to caches and clock rates stays, so a campaign takes the
    minimum over minutes.  With more threads, or another provider, the wall clock is all there is.

    Args:
        threads: Intra-op threads; there is always one inter-op thread.
        precision: ``"fp32"``; models run in the types that they are stored in.
        device: ``"cpu"``; for another, name its ``providers``.
        graph_optimization: ``"none"``, ``"basic"``, ``"extended"`` or ``"all"``.
        providers: Execution providers, in order of preference.
        session_config: Further entries of the session's configuration, such as ``{"session.disable_prepacking": "1"}``.

    Raises:
        MissingDependencyError: No flavour of onnxruntime is installed.
        UsageError: An argument outside the values above.
    """

    def __init__(
        self,
        threads: int = 1,
        precision: str = "fp32",
        device: str = "cpu",
        graph_optimization: str = "all",
        providers: Sequence[str] = (_CPU_PROVIDER,),
        session_config: Mapping[str, str] | None = None,
    ) -> None:
        if find_spec("onnxruntime") is None:
            raise MissingDependencyError("onnxruntime", "ort", "measuring with onnxruntime")
        if threads < 1:
            raise UsageError(f"expected at least 1 thread, got {threads}.")
        if precision != "fp32":
            raise UsageError(f"onnxruntime runs models in fp32, not in {precision!r}; try --runtime torch.")
        if device != "cpu":
            raise UsageError(
                f"onnxruntime is timed on the CPU, not on {device!r}; leave --device out, or try --runtime torch."
            )
        if graph_optimization not in _OPTIMIZATION_LEVELS:
            raise UsageError(
                f"unknown graph optimisation {graph_optimization!r}; expected one of {', '.join(_OPTIMIZATION_LEVELS)}."
            )
        self.threads = threads
        self.graph_optimization = graph_optimization
        self.providers = tuple(providers)
        self.session_config = dict(session_config or {})

    def environment(self) -> Environment:
        """This machine and the installed onnxruntime."""
        import onnxruntime

        return Environment.capture(runtime="onnxruntime", runtime_version=onnxruntime.__version__, threads=self.threads)

    def settings(self) -> Mapping[str, JsonValue]:
        """Optimisation level, providers, the flavour of the package, and what else is configured."""
        settings: dict[str, JsonValue] = {
            "graph_optimization": self.graph_optimization,
            "providers": list(self.providers),
            "package": packages_distributions().get("onnxruntime", ["onnxruntime"])[0],
        }
        if self.session_config:  # journals from before there was such a choice go on
            settings["session_config"] = dict(self.session_config)
        return settings

    def _visit(self, model: bytes, runs: int) -> RunTimes:
        session = self._session(model)
        feeds = _random_feeds(session)
        self._run(session, feeds)
        return time_runs(lambda: self._run(session, feeds), runs, threads=self.threads, is_on_cpu=self._is_cpu_only)

    def profile_runs(self, model: bytes, runs: int, prefix: Path, optimized: Path) -> Path:
        """Run a model with onnxruntime's profiler on.

        Args:
            model: A serialised ONNX model with weights, all input shapes fixed.
            runs: How often, beside once to warm up.
            prefix: Start of the path of the profile.
            optimized: Where to write the graph as it is run.

        Returns:
            The profile.

        Raises:
            MeasurementError: onnxruntime does not take the model.
        """
        options = session_options(self.threads, self.graph_optimization, self.session_config)
        options.enable_profiling = True
        options.profile_file_prefix = str(prefix)
        options.optimized_model_filepath = str(optimized)
        session = self._open(model, options)
        feeds = _random_feeds(session)
        for _ in range(1 + runs):
            self._run(session, feeds)
        return Path(session.end_profiling())

    @property
    def _is_cpu_only(self) -> bool:
        return self.providers == (_CPU_PROVIDER,)

    def _session(self, model: bytes) -> onnxruntime.InferenceSession:
        return self._open(model, session_options(self.threads, self.graph_optimization, self.session_config))

    def _open(self, model: bytes, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
        import onnxruntime

        try:
            return onnxruntime.InferenceSession(model, options, providers=list(self.providers))
        except Exception as error:  # onnxruntime's exceptions share no base class but Exception
            raise refusal("onnxruntime does not load the model", error) from error

    @staticmethod
    def _run(session: onnxruntime.InferenceSession, feeds: Mapping[str, Any]) -> None:
        try:
            session.run(None, feeds)
        except Exception as error:
            raise refusal("onnxruntime does not run the model", error) from error


def session_options(
    threads: int, graph_optimization: str, session_config: Mapping[str, str]
) -> onnxruntime.SessionOptions:
    """Options of a session that is quiet and runs one operation after the other.

    Args:
        threads: Intra-op threads.
        graph_optimization: One of :data:`GRAPH_OPTIMIZATIONS`.
        session_config: Further entries of the configuration.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    level = _OPTIMIZATION_LEVELS[graph_optimization]
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    options.log_severity_level = 4  # errors are raised as well; warnings would drown the progress bar
    for key, value in session_config.items():
        options.add_session_config_entry(key, value)
    return options


def _random_feeds(session: onnxruntime.InferenceSession, seed: int = 0) -> dict[str, np.ndarray]:
    """Inputs that any model takes.

    Raises:
        MeasurementError: An input without a fixed shape, or of a type that numpy lacks.
    """
    generator = np.random.default_rng(seed)
    return {value.name: _random_array(value.name, value.type, value.shape, generator) for value in session.get_inputs()}


def _random_array(
    name: str, type_name: str, shape: Sequence[int | str | None], generator: np.random.Generator
) -> np.ndarray:
    if type_name not in _NUMPY_TYPES:
        raise MeasurementError(f"input {name!r} is a {type_name}; only tensors of numbers can be made up.")
    sizes = [size for size in shape if isinstance(size, int)]
    if len(sizes) != len(shape):
        raise MeasurementError(f"input {name!r} has the shape {list(shape)}; expected fixed sizes.")
    return random_array(sizes, np.dtype(_NUMPY_TYPES[type_name]), generator)
