"""Runs compiled networks, in a process of its own, for what they compute and how long they take."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import thread_time_ns
from typing import Any

import numpy as np

from costmodel.calibration.child import Child
from costmodel.calibration.measurers.tvm_compiler import last_line
from costmodel.errors import MeasurementError
from costmodel.integrations.tvm.measuring.timer import ONE_THREAD

__all__ = ["NetworkRun", "NetworkTimer"]


@dataclass(frozen=True, slots=True)
class NetworkRun:
    """What came of running a network.

    Attributes:
        outputs: In the order of the network's.
        latency_ms: CPU time of the fastest run on one thread.
    """

    outputs: tuple[np.ndarray, ...]
    latency_ms: float


class NetworkTimer:
    """Runs networks on one thread of this machine, by CPU time; a program that crashes or hangs is an error.

    Args:
        runs: How often a network is timed in a visit, after a run that is not counted.
        time_limit_s: A visit that takes longer counts as hung.
    """

    def __init__(self, runs: int = 5, *, time_limit_s: float = 300.0) -> None:
        self.runs = runs
        self.time_limit_s = time_limit_s
        self._child = Child(_Runner(), ONE_THREAD)

    def visit(self, library: str | Path, inputs: Sequence[np.ndarray]) -> NetworkRun:
        """Run the network of a shared library.

        Args:
            library: As ``export_library`` wrote it.
            inputs: What to run it on, in the order of its parameters.

        Raises:
            MeasurementError: It does not run.
        """
        answer = next(self._child.messages(_Visit(str(library), tuple(inputs), self.runs), self.time_limit_s))
        if not isinstance(answer, NetworkRun):
            raise MeasurementError(
                f"the compiled network does not run: {answer}. Is this machine what it was compiled for, and are the "
                "inputs those of the network?"
            )
        return answer

    def close(self) -> None:
        """End the process that runs networks; another visit starts a new one."""
        self._child.close()


@dataclass(frozen=True, slots=True)
class _Visit:
    library: str
    inputs: tuple[np.ndarray, ...]
    runs: int


@dataclass
class _Runner:
    """What the process does; programs are kept."""

    _machines: dict[str, Any] = field(default_factory=dict)

    def prepare(self) -> None:
        """Import TVM, which takes seconds."""
        import tvm  # noqa: F401

    def answer(self, request: _Visit, tell: Callable[[object], None]) -> NetworkRun | str:  # noqa: ARG002  # one answer
        """What came of a visit, or why nothing did."""
        try:
            return self._run(request)
        except Exception as error:  # TVM's exceptions share no base class but Exception
            return last_line(error)

    def _run(self, visit: _Visit) -> NetworkRun:
        import tvm

        main = self._machine(visit.library)["main"]
        inputs = [tvm.runtime.tensor(array) for array in visit.inputs]
        outputs = tuple(_arrays(main(*inputs)))
        times_ns = []
        for _ in range(visit.runs):
            start = thread_time_ns()
            main(*inputs)
            times_ns.append(thread_time_ns() - start)
        return NetworkRun(outputs, min(times_ns) / 1e6)

    def _machine(self, library: str) -> Any:
        import tvm
        from tvm import relax

        if library not in self._machines:
            self._machines[library] = relax.VirtualMachine(tvm.runtime.load_module(library), tvm.cpu())
        return self._machines[library]


def _arrays(output: Any) -> Iterator[np.ndarray]:
    """The tensors of an output, which may be a tuple of tuples."""
    if hasattr(output, "numpy"):
        yield np.array(output.numpy())
        return
    for part in output:
        yield from _arrays(part)
