"""Every error this library raises on purpose.

A message says what happened, where, what was expected and what was found, and
ends with the command or call to try next.  The command line prints the message
alone and exits with :attr:`CostModelError.exit_code`.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = [
    "CostModelError",
    "DataError",
    "DeviceLostError",
    "GraphError",
    "MeasurementError",
    "MissingDependencyError",
    "ModelFileError",
    "NoDeviceError",
    "UnknownNameError",
    "UnsupportedModelError",
    "UsageError",
    "WeightsError",
]


class CostModelError(Exception):
    """Root of every error raised on purpose by this library."""

    exit_code = 1


class UsageError(CostModelError):
    """The request itself is wrong: an option, an argument, a combination of them."""

    exit_code = 2


class UnsupportedModelError(CostModelError):
    """The model is well formed but cannot be turned into a graph of operations."""

    exit_code = 3


class ModelFileError(UnsupportedModelError):
    """The file is not a model, is cut short, or contradicts itself."""


class GraphError(UnsupportedModelError):
    """The graph breaks a rule of :class:`costmodel.graph.OpGraph`: a cycle, an unknown value."""


class DataError(CostModelError):
    """Records, a table or a dataset that cannot be used as they are."""


class WeightsError(CostModelError):
    """Weights that do not fit this version's features or model."""


class MeasurementError(CostModelError):
    """A model could not be timed: it crashed, hung, or the runtime refused it."""


class DeviceLostError(MeasurementError):
    """The device went away in the middle of a visit; another attempt may reach it, or another one like it."""


class NoDeviceError(MeasurementError):
    """There is no device to measure on, whatever the model."""


class MissingDependencyError(CostModelError):
    """An optional package is not installed; the message gives the ``pip install`` line."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package!r}, which is not installed. "
            f"Install it with: pip install 'nnformer-costmodel[{extra}]'"
        )


class UnknownNameError(UsageError):
    """A name (platform, pretrained weights, family ...) that nothing is registered under."""

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        names = sorted(set(known))
        close = get_close_matches(name, names, n=3, cutoff=0.5) or [n for n in names if name in n][:3]
        message = f"unknown {kind} {name!r}."
        if close:
            message += f" Did you mean {', '.join(close)}?"
        elif names:
            message += f" Known: {', '.join(names[:8])}{' ...' if len(names) > 8 else ''}."
        super().__init__(f"{message} {hint}".rstrip())
        self.name = name
