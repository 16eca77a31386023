"""What part of a network's latency each of its tuning tasks is predicted to take."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from tvm.s_tir.analysis import estimate_tir_flops

from costmodel.integrations.tvm.fusion import FusedGroup, fused_groups, task_key
from costmodel.integrations.tvm.relax_reader import entry_function
from costmodel.prediction import Prediction

__all__ = ["task_shares"]

logger = logging.getLogger(__name__)


def task_shares(
    tasks: Sequence[Any], module: Any, prediction: Prediction, *, function: str | None = None
) -> list[float]:
    """Share of each task, all its occurrences in the network together.

    The predicted time of an operation goes to the task that it was fused into; of one that stands for several that were
    not fused with each other, such as attention, to each of their tasks in proportion to its FLOPs.  Where a task is
    none of those that ``module`` has when it is fused as TVM does by default, its time is what its FLOPs take at the
    speed of the others, and the log says so.  An operation that became part of no task is left out.

    Args:
        tasks: What ``extract_tasks`` found in the module, legalised.
        module: The module that they come from, before that.
        prediction: What :func:`~costmodel.integrations.tvm.estimate.estimate` says of it.
        function: Which function of the module is the network; ``main`` or the only one, if not given.

    Returns:
        Shares that add up to 1 (zeros where nothing takes time), in the order of the tasks.

    Raises:
        UsageError: The module has no such function.
    """
    if not tasks:
        return []
    groups = fused_groups(module, tasks[0].target, entry_function(module, function))
    keys = [task_key(task.dispatched[0]["main"]) for task in tasks]
    flops = [float(estimate_tir_flops(task.dispatched[0])) for task in tasks]
    taken_ms = _task_ms(groups, dict(zip(keys, flops, strict=True)), prediction)
    known = {group.task for group in groups}
    matched = [key in known for key in keys]
    weighted = [count * task.weight for count, task in zip(flops, tasks, strict=True)]
    of_matched = sum(count for count, is_known in zip(weighted, matched, strict=True) if is_known)
    ms_of_matched = sum(taken_ms.get(key, 0.0) for key in set(keys))
    rate = ms_of_matched / of_matched if of_matched and ms_of_matched else 1.0
    found_ms = [
        taken_ms.get(key, 0.0) if is_known and ms_of_matched else count * rate
        for key, is_known, count in zip(keys, matched, weighted, strict=True)
    ]
    _log_unmatched([str(task.task_name) for task in tasks], matched if ms_of_matched else [False] * len(tasks))
    total = sum(found_ms)
    return [ms / total if total else 0.0 for ms in found_ms]


def _task_ms(groups: Sequence[FusedGroup], flops: Mapping[int, float], prediction: Prediction) -> dict[int, float]:
    """Predicted time of each task that an operation was fused into, all occurrences together."""
    groups_of: dict[str, list[int]] = defaultdict(list)
    for index, group in enumerate(groups):
        for source in group.sources:
            groups_of[source].append(index)
    taken_ms: dict[int, float] = defaultdict(float)
    for found in prediction.per_op:
        reached = sorted({index for source in found.sources for index in groups_of.get(source, ())})
        work = [flops.get(groups[index].task, 0.0) for index in reached]
        total = sum(work)
        for index, of_one in zip(reached, work, strict=True):
            taken_ms[groups[index].task] += found.latency_ms * (of_one / total if total else 1 / len(reached))
    return taken_ms


def _log_unmatched(names: Sequence[str], matched: Sequence[bool]) -> None:
    unmatched = [name for name, is_known in zip(names, matched, strict=True) if not is_known]
    if unmatched:
        logger.warning(
            "%d of %d tasks are judged by their FLOPs, as no predicted operation is known to be part of them: %s%s",
            len(unmatched),
            len(names),
            ", ".join(unmatched[:5]),
            " ..." if len(unmatched) > 5 else "",
        )
