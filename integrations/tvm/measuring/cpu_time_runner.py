"""Times candidates so that what else the machine does hardly matters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isfinite
from typing import Any

from tvm.ir.utils import derived_object
from tvm.s_tir.meta_schedule.runner import PyRunner, PyRunnerFuture, RunnerInput, RunnerResult

from costmodel.calibration.child import Child, ChildDiedError, ChildHungError
from costmodel.errors import UsageError
from costmodel.integrations.tvm.measuring.timer import ONE_THREAD, Timed, Timer, Visit

__all__ = ["CpuTimeRunner", "Finished"]


@derived_object
class CpuTimeRunner(PyRunner):  # type: ignore[misc]  # TVM has no types
    """Runs candidates on one thread of this machine, by CPU time, each several times spread over the batch.

    The wall clock counts whatever else the machine does; CPU time does not, but memory and caches that are shared
    with others still disturb it for seconds at a time.  So the batch is gone round several times, and the fastest run
    of each candidate counts.  A candidate that crashes or hangs costs its process, which is replaced, and is a result
    with a reason.

    For targets of one core (``"num-cores": 1``): with more, the CPU time of one thread says nothing.

    Args:
        visits: How often the batch is gone round.
        run_secs: CPU seconds that one timed run should last at least.
        slow_secs: Candidates that take longer are run once a visit.
        time_limit_s: A visit that takes longer counts as hung.

    Raises:
        UsageError: A number is not positive.
    """

    def __init__(
        self, visits: int = 3, *, run_secs: float = 0.005, slow_secs: float = 0.05, time_limit_s: float = 20.0
    ) -> None:
        super().__init__()
        numbers = {"visits": visits, "run_secs": run_secs, "slow_secs": slow_secs, "time_limit_s": time_limit_s}
        for name, value in numbers.items():
            if value <= 0:
                raise UsageError(f"expected {name} above 0, got {value}.")
        self.visits = visits
        self.run_secs = run_secs
        self.slow_secs = slow_secs
        self.time_limit_s = time_limit_s
        self._child = Child(Timer(), ONE_THREAD)

    def run(self, runner_inputs: list[Any]) -> list[Any]:
        """Times of all candidates, in their order; they are there when this returns."""
        requests = [self._visit(runner_input) for runner_input in runner_inputs]
        return [Finished(result) for result in self._results(requests)]

    def close(self) -> None:
        """End the process that runs candidates; another run starts a new one."""
        self._child.close()

    def _visit(self, runner_input: RunnerInput) -> Visit:
        arguments = tuple((str(found.dtype), tuple(map(int, found.shape))) for found in runner_input.args_info)
        return Visit(str(runner_input.artifact_path), arguments, self.run_secs, self.slow_secs)

    def _results(self, requests: Sequence[Visit]) -> Iterator[RunnerResult]:
        times: list[list[float]] = [[] for _ in requests]
        reasons = [""] * len(requests)
        for _ in range(self.visits):
            for index, request in enumerate(requests):
                if not reasons[index]:
                    timed = self._timed(request)
                    reasons[index] = timed.reason
                    times[index].append(timed.secs)
        for of_one, reason in zip(times, reasons, strict=True):
            yield RunnerResult(None, reason) if reason else RunnerResult([min(of_one)], None)

    def _timed(self, request: Visit) -> Timed:
        try:
            answer = next(self._child.messages(request, self.time_limit_s))
        except (ChildDiedError, ChildHungError) as error:
            return Timed(reason=str(error))
        if not isinstance(answer, Timed):
            return Timed(reason=f"answered {answer!r}")
        if not answer.reason and not (isfinite(answer.secs) and answer.secs > 0):
            return Timed(reason=f"took {answer.secs} s")
        return answer


@derived_object
class Finished(PyRunnerFuture):  # type: ignore[misc]  # TVM has no types
    """A result that is there."""

    def __init__(self, result: RunnerResult) -> None:
        super().__init__()
        self._result = result

    def done(self) -> bool:
        """Yes."""
        return True

    def result(self) -> RunnerResult:
        """The result."""
        return self._result
