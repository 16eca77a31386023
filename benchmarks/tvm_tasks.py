"""Measured tasks with TVM's own features of their candidates, which take TVM minutes to say and are kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from tvm.s_tir import meta_schedule as ms
from tvm.s_tir.meta_schedule.feature_extractor import PerStoreFeature

from costmodel.features import GraphFeatures
from costmodel.files import replaced
from costmodel.integrations.tvm.candidate import candidate_features, read_candidate
from costmodel.integrations.tvm.collecting import open_database
from costmodel.integrations.tvm.records import TaskRecords, measured_tasks
from costmodel.integrations.tvm.workloads import WIDE_WORKLOADS, WORKLOADS

LEAST_CANDIDATES = 64
"""Tasks with fewer have hardly anything to choose from."""

ARRAYS = tuple(field.name for field in fields(GraphFeatures) if field.name != "batch")


@dataclass(frozen=True)
class Task:
    """A task, and TVM's own features of its candidates."""

    records: TaskRecords
    per_store: Sequence[np.ndarray]

    @cached_property
    def pooled(self) -> np.ndarray:
        """One row a candidate: sums, maxima and means over its stores."""
        return np.stack([np.concatenate([f.sum(0), f.max(0), f.mean(0)]) for f in self.per_store])

    @cached_property
    def log_secs(self) -> np.ndarray:
        """What each candidate took."""
        return np.log(self.records.run_secs)


def read_tasks(folder: Path, run: Path) -> list[Task]:
    """Every task of one target that there are enough candidates of; ``run`` keeps what was read."""
    size = (folder / "database_tuning_record.json").stat().st_size
    kept = run / "tasks" / f"{folder.name}-{size}"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        # Another process may be reading the same records: the first to be done leaves them.
        with TemporaryDirectory(prefix=".reading-", dir=kept.parent) as reading:
            for task in _read(folder):
                _write(task, Path(reading) / "tasks" / f"{task.records.name}.npz")
                print(task.records.name, len(task.records), flush=True)
            if not kept.exists():
                (Path(reading) / "tasks").rename(kept)
    return [_load(path) for path in sorted(kept.glob("*.npz"))]


def _read(folder: Path) -> Iterator[Task]:
    extractor = PerStoreFeature()
    database = open_database(folder)
    target = database.get_all_tuning_records()[0].target
    for found in measured_tasks(database, target, (*WORKLOADS, *WIDE_WORKLOADS)):
        if len(found.candidates) < LEAST_CANDIDATES:
            continue
        context = ms.TuneContext(mod=found.module, target=target)
        per_store = [array.numpy().astype("float32") for array in extractor.extract_from(context, found.candidates)]
        features = tuple(candidate_features([read_candidate(candidate.sch.mod) for candidate in found.candidates]))
        yield Task(TaskRecords(found.name, found.kind, features, found.run_secs), per_store)


def _write(task: Task, path: Path) -> None:
    """Arrays of all candidates one after the other, and where each candidate's end."""
    arrays: dict[str, Any] = {"kind": task.records.kind, "run_secs": task.records.run_secs}
    for name in ARRAYS:
        _join(arrays, name, [getattr(found, name) for found in task.records.candidates])
    _join(arrays, "per_store", task.per_store)
    with replaced(path) as partial, partial.open("wb") as stream:
        np.savez(stream, **arrays)


def _load(path: Path) -> Task:
    with np.load(path) as arrays:
        of_all = [_split(arrays, name) for name in ARRAYS]
        candidates = tuple(
            GraphFeatures(**dict(zip(ARRAYS, of_one, strict=True)), batch=1) for of_one in zip(*of_all, strict=True)
        )
        records = TaskRecords(path.stem, str(arrays["kind"]), candidates, arrays["run_secs"])
        return Task(records, _split(arrays, "per_store"))


def _join(arrays: dict[str, Any], name: str, parts: Sequence[np.ndarray]) -> None:
    arrays[name] = np.concatenate(parts)
    arrays[f"{name}_ends"] = np.cumsum([len(part) for part in parts])


def _split(arrays: Any, name: str) -> list[np.ndarray]:
    return np.split(arrays[name], arrays[f"{name}_ends"][:-1])
