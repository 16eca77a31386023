"""One way to run a model with onnxruntime, and the platform it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import JsonValue

from costmodel.calibration.measurers.onnxruntime import GRAPH_OPTIMIZATIONS, OnnxRuntimeMeasurer, session_options
from costmodel.errors import UnknownNameError, UsageError
from costmodel.integrations.onnxruntime.model_format import ModelFormat
from costmodel.integrations.onnxruntime.session_config import check_session_config
from costmodel.platforms.environment import default_platform_name

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["CPU_PROVIDER", "DEFAULT_VARIANT", "Variant", "default_platform_here"]

CPU_PROVIDER = "CPUExecutionProvider"

_ALL = "all"


@dataclass(frozen=True, slots=True)
class Variant:
    """A format of the model file and the settings of the session that runs it.

    Attributes:
        format: What the model file holds.
        graph_optimization: ``"none"``, ``"basic"``, ``"extended"`` or ``"all"``.
        threads: Intra-op threads.
        provider: Execution provider; operations that it does not take run on the CPU.
        session_config: Further entries of the session's configuration, in the order of their keys.

    Raises:
        UnknownNameError: A key of the configuration is not known.
        UsageError: A number or a value outside of what onnxruntime takes.
    """

    format: ModelFormat = ModelFormat.FP32
    graph_optimization: str = _ALL
    threads: int = 1
    provider: str = CPU_PROVIDER
    session_config: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if self.graph_optimization not in GRAPH_OPTIMIZATIONS:
            raise UnknownNameError("graph optimisation", self.graph_optimization, GRAPH_OPTIMIZATIONS)
        if self.threads < 1:
            raise UsageError(f"expected at least 1 thread, got {self.threads}.")
        if not self.provider.endswith("ExecutionProvider"):
            raise UsageError(f"{self.provider!r} is no execution provider; their names are like {CPU_PROVIDER}.")
        check_session_config(dict(self.session_config))

    @property
    def precision(self) -> str:
        """What it computes in and how, as platform names spell it: ``"fp32"``, ``"fp32-extended"``, ``"int8-qdq"``.

        Variants that differ in threads or in entries of the configuration share it.
        """
        parts = [str(self.format)]
        if self.graph_optimization != _ALL:
            parts.append(self.graph_optimization)
        if self.provider != CPU_PROVIDER:
            parts.append(self.provider.removesuffix("ExecutionProvider").lower())
        return "-".join(parts)

    @property
    def name(self) -> str:
        """Tells it from all others: ``"int8-qdq-2t session.disable_prepacking=1"``."""
        return " ".join(
            [f"{self.precision}-{self.threads}t", *(f"{key}={value}" for key, value in self.session_config)]
        )

    def platform(self, default_platform: str) -> str | None:
        """Name of the platform that it is; ``None`` for one with a configuration, which names leave out.

        Args:
            default_platform: Name of the platform that the default session is on the same machine, such as
                :func:`default_platform_here`.
        """
        if self.session_config:
            return None
        if self == DEFAULT_VARIANT:
            return default_platform
        return f"{default_platform.removesuffix(f'-{DEFAULT_VARIANT.name}')}-{self.name}"

    @property
    def providers(self) -> list[str]:
        """Execution providers of the session, in order of preference."""
        return [self.provider] if self.provider == CPU_PROVIDER else [self.provider, CPU_PROVIDER]

    def session_options(self) -> onnxruntime.SessionOptions:
        """Options of the session."""
        return session_options(self.threads, self.graph_optimization, self.config)

    def describe_session(self) -> dict[str, JsonValue]:
        """Providers and options of the session as plain JSON data, by the names that onnxruntime gives them."""
        options = self.session_options()
        return {
            "providers": list(self.providers),
            "options": {
                "graph_optimization_level": options.graph_optimization_level.name,
                "intra_op_num_threads": options.intra_op_num_threads,
                "inter_op_num_threads": options.inter_op_num_threads,
                "execution_mode": options.execution_mode.name,
            },
            "session_config": dict(self.session_config),
        }

    @property
    def config(self) -> Mapping[str, str]:
        """The entries of the configuration by key."""
        return dict(self.session_config)


DEFAULT_VARIANT = Variant()
"""What onnxruntime does on one thread if it is told nothing; gains are relative to it."""


def default_platform_here() -> str:
    """Name of the platform that the default session is on this machine, e.g. ``epyc-7r13-ort1.32-fp32-1t``.

    Raises:
        MissingDependencyError: No flavour of onnxruntime is installed.
    """
    return default_platform_name(OnnxRuntimeMeasurer().environment())
