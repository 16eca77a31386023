"""TVM's tuning records as something to learn from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tvm_ffi
from jaxtyping import Float

from costmodel.features import GraphFeatures
from costmodel.integrations.tvm.candidate import candidate_features, read_candidate
from costmodel.integrations.tvm.workloads import Workload

__all__ = ["MeasuredTask", "TaskRecords", "fastest_secs", "measured_tasks", "read_records"]

_FAILED_SECS = 1e9
"""TVM notes a candidate that failed as one that took for ever."""


@dataclass(frozen=True)
class TaskRecords:
    """Measured candidates of one task.

    Attributes:
        name: Of the task.
        kind: What sort of operator it is.
        candidates: Features of each candidate.
        run_secs: What each took, seconds.
    """

    name: str
    kind: str
    candidates: tuple[GraphFeatures, ...]
    run_secs: Float[np.ndarray, "candidates"]

    def __len__(self) -> int:
        return len(self.candidates)

    def subset(self, rows: Iterable[int]) -> TaskRecords:
        """Some of the candidates."""
        index = list(rows)
        return TaskRecords(self.name, self.kind, tuple(self.candidates[row] for row in index), self.run_secs[index])

    def joined(self, others: TaskRecords) -> TaskRecords:
        """These candidates, then those."""
        run_secs = np.concatenate([self.run_secs, others.run_secs])
        return TaskRecords(self.name, self.kind, self.candidates + others.candidates, run_secs)


@dataclass(frozen=True)
class MeasuredTask:
    """A task of a database as TVM has it.

    Attributes:
        name: Of the task.
        kind: What sort of operator it is.
        module: What is tuned.
        candidates: TVM's ``MeasureCandidate`` of each that ran.
        run_secs: What each took, seconds.
    """

    name: str
    kind: str
    module: Any
    candidates: Sequence[Any]
    run_secs: Float[np.ndarray, "candidates"]


def measured_tasks(database: Any, target: Any, workloads: Sequence[Workload]) -> Iterator[MeasuredTask]:
    """The tasks of a database, without the candidates that failed.

    Args:
        database: TVM's, see :func:`costmodel.integrations.tvm.collecting.open_database`.
        target: What the tasks are compiled for.
        workloads: Tasks by their name and kind; those of the database that are none of them go by a number.
    """
    known = {tvm_ffi.structural_hash(workload.module(target)): workload for workload in workloads}
    by_task: dict[int, list[Any]] = {}
    for record in database.get_all_tuning_records():
        by_task.setdefault(tvm_ffi.structural_hash(record.workload.mod), []).append(record)
    for key, records in by_task.items():
        workload = known.get(key)
        name = workload.name if workload else f"task-{key & 0xFFFFFFFF:08x}"
        usable = [(record, secs) for record in records if (secs := fastest_secs(record)) < _FAILED_SECS]
        yield MeasuredTask(
            name,
            workload.kind if workload else name,
            records[0].workload.mod,
            [record.as_measure_candidate() for record, _ in usable],
            np.array([secs for _, secs in usable], dtype=np.float64),
        )


def read_records(
    database: Any, target: Any, workloads: Sequence[Workload], progress: Callable[[str], None] | None = None
) -> list[TaskRecords]:
    """The candidates of a database that ran, task by task; arguments as for :func:`measured_tasks`.

    Args:
        database: TVM's.
        target: What the tasks are compiled for.
        workloads: Tasks by their name and kind.
        progress: Called with the name of each task that was read.
    """
    found = []
    for task in measured_tasks(database, target, workloads):
        features = tuple(candidate_features([read_candidate(candidate.sch.mod) for candidate in task.candidates]))
        found.append(TaskRecords(task.name, task.kind, features, task.run_secs))
        if progress is not None:
            progress(task.name)
    return found


def fastest_secs(measured: Any) -> float:
    """The fastest run of TVM's ``TuningRecord`` or ``RunnerResult``, seconds; infinity where none is noted."""
    return min((float(secs) for secs in measured.run_secs or ()), default=float("inf"))
