"""Ends the search of one task while others go on."""

from __future__ import annotations

from typing import Any

from tvm.s_tir import Schedule

__all__ = ["stop_task"]


def stop_task(task_scheduler: Any, task_id: int) -> None:
    """Let a task run out of trials, so that the scheduler ends it when it would next propose candidates.

    ``TaskRecord.is_terminated`` cannot be written from Python, and ``TaskScheduler.terminate_task`` within a callback
    ends all tuning with a failed check whenever the results came later than they were asked for, as from a runner on
    another machine: the scheduler joins a task that it has chosen already.  So the search of the task begins anew with
    no trials left, which every search strategy of TVM answers by proposing nothing.

    Args:
        task_scheduler: As a measure callback gets it.
        task_id: Likewise.
    """
    context = task_scheduler.tasks_[task_id].ctx
    strategy = context.search_strategy
    strategy.post_tuning()
    # A design space must be given; with no trials, nothing is ever drawn from it.
    strategy.pre_tuning(0, 1, [Schedule(context.mod)], task_scheduler.database_, task_scheduler.cost_model_)
