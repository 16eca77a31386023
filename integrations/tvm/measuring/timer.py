"""What runs in the process that times candidates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import ceil
from time import thread_time_ns
from typing import Any

__all__ = ["ONE_THREAD", "Timed", "Timer", "Visit"]

ONE_THREAD = {"TVM_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
"""Environment of a process that goes by the CPU time of one thread, so there may be no others."""

_RUNS_A_VISIT = 3
_MOST_CALLS = 1000


@dataclass(frozen=True, slots=True)
class Visit:
    """Asks for the time of one candidate.

    Attributes:
        library: Path of the shared library.
        arguments: Type and shape of each buffer.
        run_secs: CPU seconds that one timed run should last at least; short candidates are called several times in it.
        slow_secs: A candidate that takes longer is run only once a visit.
    """

    library: str
    arguments: tuple[tuple[str, tuple[int, ...]], ...]
    run_secs: float
    slow_secs: float


@dataclass(frozen=True, slots=True)
class Timed:
    """The answer: CPU seconds of the fastest run, or why it cannot be run."""

    secs: float = 0.0
    reason: str = ""


@dataclass
class Timer:
    """Times candidates by the CPU time of the one thread that runs them.

    Libraries and buffers are kept from visit to visit, those of the last task only.
    """

    _functions: dict[str, Callable[..., object]] = field(default_factory=dict)
    _buffers: dict[tuple[tuple[str, tuple[int, ...]], ...], Sequence[Any]] = field(default_factory=dict)

    def prepare(self) -> None:
        """Import TVM, which takes seconds."""
        import tvm  # noqa: F401

    def answer(self, request: Visit, tell: Callable[[object], None]) -> Timed:  # noqa: ARG002  # one answer, no more
        """The time of a candidate; the first call of it is not counted."""
        try:
            return Timed(self._fastest_secs(request))
        except Exception as error:  # TVM's exceptions share no base class but Exception
            return Timed(reason=f"does not run: {str(error).strip() or type(error).__name__}")

    def _fastest_secs(self, visit: Visit) -> float:
        function, buffers = self._function(visit.library), self._arguments(visit.arguments)
        first = _cpu_secs(function, buffers, 1)
        if first > visit.slow_secs:
            return first
        calls = min(max(ceil(visit.run_secs / max(first, 1e-9)), 1), _MOST_CALLS)
        return min(_cpu_secs(function, buffers, calls) / calls for _ in range(_RUNS_A_VISIT))

    def _function(self, library: str) -> Callable[..., object]:
        import tvm

        if library not in self._functions:
            self._functions[library] = tvm.runtime.load_module(library)["main"]
        return self._functions[library]

    def _arguments(self, arguments: tuple[tuple[str, tuple[int, ...]], ...]) -> Sequence[Any]:
        if arguments not in self._buffers:
            self._functions = dict(list(self._functions.items())[-1:])
            self._buffers = {arguments: [_random_buffer(*argument) for argument in arguments]}
        return self._buffers[arguments]


def _cpu_secs(function: Callable[..., object], buffers: Sequence[Any], calls: int) -> float:
    start = thread_time_ns()
    for _ in range(calls):
        function(*buffers)
    return (thread_time_ns() - start) / 1e9


def _random_buffer(dtype: str, shape: tuple[int, ...]) -> Any:
    import numpy as np
    import tvm

    # Between zero and one, so that nothing becomes a denormal number, which takes a hundred times as long.
    return tvm.runtime.tensor(np.random.default_rng(0).random(shape).astype(dtype))
