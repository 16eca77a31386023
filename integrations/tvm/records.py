"""TVM's tuning records as something to learn from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tvm_ffi
from jaxtyping import Float

from costmodel.features import GraphFeatures
from costmodel.integrations.tvm.candidate import candidate_features, read_candidate
from costmodel.integrations.tvm.workloads import Workload

__all__ = ["TaskRecords", "read_records"]

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


def read_records(
    database: Any, target: Any, workloads: Sequence[Workload], progress: Callable[[str], None] | None = None
) -> list[TaskRecords]:
    """The candidates of a database that ran, task by task.

    Args:
        database: TVM's, see :func:`costmodel.integrations.tvm.collecting.open_database`.
        target: What the tasks are compiled for.
        workloads: Tasks by their name and kind; those of the database that are none of them go by what TVM calls them.
        progress: Called with the name of each task that was read.
    """
    names = {tvm_ffi.structural_hash(workload.module(target)): workload for workload in workloads}
    by_task: dict[int, list[Any]] = {}
    for record in database.get_all_tuning_records():
        by_task.setdefault(tvm_ffi.structural_hash(record.workload.mod), []).append(record)
    found = []
    for key, records in by_task.items():
        workload = names.get(key)
        name = workload.name if workload else f"task-{key & 0xFFFFFFFF:08x}"
        usable = [(record, secs) for record in records if (secs := _run_secs(record)) < _FAILED_SECS]
        candidates = tuple(candidate_features(read_candidate(r.as_measure_candidate().sch.mod)) for r, _ in usable)
        times = np.array([secs for _, secs in usable], dtype=np.float64)
        found.append(TaskRecords(name, workload.kind if workload else name, candidates, times))
        if progress is not None:
            progress(name)
    return found


def _run_secs(record: Any) -> float:
    times = [float(secs) for secs in record.run_secs or ()]
    return min(times) if times else float("inf")
