"""Several measuring processes that share out the models of a round."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Self

from costmodel.calibration.measurers.base import Measurer
from costmodel.calibration.sources import ModelSource
from costmodel.calibration.worker import Outcome, Worker
from costmodel.data.records import Status
from costmodel.errors import NoDeviceError

__all__ = ["Crew"]

_ATTEMPTS = 2
"""A crash or a hang may be the machine's fault once."""


class Crew:
    """Workers that visit different models at the same time, each driven by a thread of its own.

    Args:
        measurer: Times the models, in the workers' processes.
        time_limit_s: A visit that takes longer, loading included, is ended.
        size: How many workers.
    """

    def __init__(self, measurer: Measurer, time_limit_s: float, size: int = 1) -> None:
        self._workers = [Worker(measurer, time_limit_s) for _ in range(size)]
        self._threads = ThreadPoolExecutor(size, thread_name_prefix="visit")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End all visits that are under way."""
        for worker in self._workers:
            worker.stop()
        self._threads.shutdown()
        for worker in self._workers:
            worker.close()

    def visit_each(
        self, sources: Iterable[ModelSource], batch: int | None, runs: int
    ) -> Iterator[tuple[ModelSource, Outcome]]:
        """Visit every model once; a crash or a hang gets a second attempt.

        A worker starts its next visit only when the iterator is asked for more than the last one, so whatever the
        caller does with an outcome is done by then.  A worker that finds no device leaves its model to the others.

        Args:
            sources: The models, in the order that their visits start in.
            batch: Batch to run at; ``None`` for each model's own.
            runs: Timed runs in a visit.

        Yields:
            Each model and how its visit ended, in the order that the visits end in.

        Raises:
            MeasurementError: A child process does not start.
            NoDeviceError: No worker has anything to measure on.
        """
        waiting, idle = deque(sources), deque(self._workers)
        running: dict[Future[Outcome], tuple[Worker, ModelSource]] = {}
        while waiting or running:
            while waiting and idle:
                worker, source = idle.popleft(), waiting.popleft()
                running[self._threads.submit(_visit, worker, source, batch, runs)] = worker, source
            for visit in wait(running, return_when=FIRST_COMPLETED).done:
                worker, source = running.pop(visit)
                try:
                    outcome = visit.result()
                except NoDeviceError:
                    if not running and not idle:
                        raise
                    waiting.appendleft(source)
                    continue
                yield source, outcome
                idle.append(worker)


def _visit(worker: Worker, source: ModelSource, batch: int | None, runs: int) -> Outcome:
    for _ in range(_ATTEMPTS):
        outcome = worker.visit(source, batch, runs)
        if outcome.status in (Status.OK, Status.REFUSED):
            break
    return outcome
