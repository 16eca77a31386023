"""Tunes tasks that have different numbers of trials."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from tvm.s_tir import meta_schedule as ms
from tvm.s_tir.meta_schedule.relax_integration import extracted_tasks_to_tune_contexts
from tvm.s_tir.meta_schedule.utils import fork_seed

from costmodel.errors import UsageError
from costmodel.integrations.tvm.intrinsics import import_intrinsics

__all__ = ["tune_allocated"]

_TRIALS_A_ROUND = 64
"""TVM's own default."""

_ABOUT_TASKS = ("space", "strategy", "num_threads", "seed")
"""Settings that say how each task is searched."""

_SET_HERE = ("tasks", "task_weights", "max_trials_global", "max_trials_per_task", "task_scheduler")


def tune_allocated(
    tasks: Sequence[Any],
    trials: Sequence[int],
    *,
    work_dir: str | Path,
    database: Any = "json",
    cost_model: Any = "xgb",
    num_trials_per_iter: int = _TRIALS_A_ROUND,
    around_task: Callable[[int], AbstractContextManager[object]] | None = None,
    log_files: bool = True,
    **settings: Any,
) -> Any:
    """Tune each task with the trials that it was given, one task after the other.

    TVM's scheduler has one limit for all tasks, so each is tuned alone; database, cost model and callbacks are the same
    throughout, and what the model learned from one task it brings to the next.  What an early stop of a task saves is
    saved: no other task gets it.

    Args:
        tasks: What ``extract_tasks`` found.
        trials: Of each task, as :func:`~costmodel.integrations.tvm.allocation.allocate_trials` shares them out; a task
            of none is passed over.
        work_dir: Folder for logs and, unless ``database`` is another, the database.
        database: As for ``tune_relax``.
        cost_model: Likewise.
        num_trials_per_iter: Likewise; a task of fewer trials has them in one round.
        around_task: Makes of the number of a task, from 0, the context that it is tuned in.
        log_files: Whether TVM sets its logging up as in ``tune_relax``, to files in ``work_dir`` and to stdout.
        settings: Others of ``tune_relax``: ``space``, ``strategy``, ``num_threads``, ``seed``, ``builder``, ``runner``,
            ``measure_callbacks``, ``module_equality``.

    Returns:
        The database.

    Raises:
        UsageError: There are not as many numbers as tasks, one is negative, a task is scheduled already, or a setting
            contradicts the numbers.
    """
    _check(tasks, trials, settings)
    import_intrinsics()
    about_tasks = {name: settings.pop(name) for name in _ABOUT_TASKS if name in settings}
    if log_files:
        contexts, weights = extracted_tasks_to_tune_contexts(list(tasks), str(work_dir), **about_tasks)
    else:
        contexts, weights = _contexts(tasks, **about_tasks)
    if len(contexts) < len(tasks):
        raise UsageError(f"{len(tasks) - len(contexts)} of {len(tasks)} tasks are scheduled already; leave them out.")
    database = _database(database, str(work_dir), settings)
    model = cost_model if isinstance(cost_model, ms.CostModel) else ms.CostModel.create(cost_model)
    for index, (context, weight, count) in enumerate(zip(contexts, weights, trials, strict=True)):
        if count:
            with around_task(index) if around_task is not None else nullcontext():
                ms.tune.tune_tasks(
                    tasks=[context],
                    task_weights=[weight],
                    work_dir=str(work_dir),
                    max_trials_global=count,
                    num_trials_per_iter=min(num_trials_per_iter, count),
                    database=database,
                    cost_model=model,
                    **settings,
                )
    return database


def _contexts(tasks: Sequence[Any], *, seed: int | None = None, **settings: Any) -> tuple[list[Any], list[float]]:
    """What ``extracted_tasks_to_tune_contexts`` makes, but for its loggers."""
    unscheduled = [
        (task, state)
        for task, state in zip(tasks, fork_seed(seed, n=len(tasks)), strict=True)
        if not (task.mod.attrs or {}).get("tirx.is_scheduled", False)
    ]
    contexts = [
        ms.TuneContext(
            mod=task.dispatched[0],
            target=task.target,
            space_generator=settings.get("space", "post-order-apply"),
            search_strategy=settings.get("strategy", "evolutionary"),
            task_name=task.task_name,
            rand_state=state,
            num_threads=settings.get("num_threads", "physical"),
        ).clone()
        for task, state in unscheduled
    ]
    return contexts, [float(task.weight) for task, _ in unscheduled]


def _check(tasks: Sequence[Any], trials: Sequence[int], settings: Mapping[str, Any]) -> None:
    if len(tasks) != len(trials):
        raise UsageError(f"expected a number of trials for each of {len(tasks)} tasks, got {len(trials)} numbers.")
    if any(count < 0 for count in trials):
        raise UsageError(f"expected numbers of trials that are not negative, got {min(trials)}.")
    contradicting = sorted(set(settings) & set(_SET_HERE))
    if contradicting:
        raise UsageError(f"{contradicting[0]} follows from the trials of each task; leave it out, or use tune_tasks.")


def _database(database: Any, work_dir: str, settings: Mapping[str, Any]) -> Any:
    if isinstance(database, ms.Database):
        return database
    equality = {name: settings[name] for name in ("module_equality",) if name in settings}
    if database == "json":
        return ms.database.JSONDatabase(work_dir=work_dir, **equality)
    return ms.database.create(database, **equality)
