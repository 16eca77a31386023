"""Tunes a whole network: its tasks, each with trials by its share of the predicted latency."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from tvm.s_tir import meta_schedule as ms

from costmodel.calibration.measurers.tvm_compiler import last_line
from costmodel.errors import UnsupportedModelError, UsageError
from costmodel.integrations.tvm.allocated_tuning import tune_allocated
from costmodel.integrations.tvm.allocation import allocate_trials
from costmodel.integrations.tvm.collecting import open_database, random_state
from costmodel.integrations.tvm.cost_model import NNFormerCostModel
from costmodel.integrations.tvm.estimate import estimate
from costmodel.integrations.tvm.fusion import task_key
from costmodel.integrations.tvm.measuring import CpuTimeRunner, InProcessBuilder, measured_batch
from costmodel.integrations.tvm.records import fastest_secs
from costmodel.integrations.tvm.task_shares import task_shares
from costmodel.integrations.tvm.tuning_callback import TuningCallback
from costmodel.integrations.tvm.tuning_folder import TuningFolder
from costmodel.integrations.tvm.workloads import extract_tasks
from costmodel.prediction import Prediction
from costmodel.predictor import Predictor

__all__ = ["SHARES_PLATFORM", "TunedNetwork", "TunedTask", "tune_network"]

logger = logging.getLogger(__name__)

SHARES_PLATFORM = "epyc-f25m1-ort1.32-fp32-1t"
"""Where the shares of tasks are predicted: one core of a server, as the tuning is for one core."""

_TRIALS_A_ROUND = 16
"""TVM's own 64 leaves a task of fewer trials no round that learns from another."""

_SEARCH = {"population_size": 256, "genetic_num_iters": 3, "init_min_unmeasured": 32}
"""Half of TVM's own population: on one core, scoring it takes as long as measuring a round."""


@dataclass(frozen=True)
class TunedTask:
    """What there is of a task now.

    Attributes:
        task: Its name.
        weight: How often the network has it.
        share: Of the network's predicted latency, all its occurrences together.
        trials: Candidates that it may take.
        measured: Candidates that it took, failed ones included.
        untuned_ms: Time as TVM compiles it without tuning; ``None`` if that does not run.
        best_ms: Time of the fastest candidate; ``None`` if none ran.
    """

    task: str
    weight: int
    share: float
    trials: int
    measured: int
    untuned_ms: float | None
    best_ms: float | None

    @property
    def is_faster(self) -> bool:
        """Whether tuning found something better than what TVM does without."""
        return self.best_ms is not None and (self.untuned_ms is None or self.best_ms < self.untuned_ms)


@dataclass(frozen=True)
class TunedNetwork:
    """What a tuning came to.

    Attributes:
        tasks: In the order that TVM extracts them.
        database: The fastest candidate of each task that is faster than without tuning; for
            :func:`~costmodel.integrations.tvm.networks.compile_network`.
    """

    tasks: tuple[TunedTask, ...]
    database: Any


def tune_network(
    module: Any,
    target: Any,
    folder: TuningFolder,
    trials: int,
    *,
    cost_model: NNFormerCostModel,
    early_stop: float | None = None,
    platform: str = SHARES_PLATFORM,
    predictor: Predictor | None = None,
    database: Any = None,
    builder: Any = None,
    runner: Any = None,
    seed: int = 0,
    live: bool | None = None,
) -> TunedNetwork:
    """Tune a network on one core of this machine, or go on where that stopped.

    Trials are shared out by what each task is predicted to take of the network's latency; those that a task has taken
    in earlier runs count.  A task that came to its end before it took all, because it was stopped or has no more
    candidates, is not tuned again, unless it may take more trials or the threshold is another.

    Args:
        module: A Relax module that is not legalised, weights in it.
        target: What to compile for, with one core.
        folder: Opened for that module, target and cost model.
        trials: Candidates to measure, of all tasks together, those of earlier runs included.
        cost_model: What leads the search.
        early_stop: See ``stop_below`` of :class:`~costmodel.integrations.tvm.tuning_callback.TuningCallback`.
        platform: Where shares are predicted for; absolute times do not matter.
        predictor: What predicts them; by default the weights that come with the package.
        database: TVM's, in the folder; opened if not given.
        builder: By default one in this process.
        runner: By default by CPU time.
        seed: Of the search.
        live: Whether to draw a table; ``None`` for where stderr is a terminal.

    Raises:
        UsageError: There are fewer than one trial, or an argument is none that the callback or TVM takes.
        UnknownNameError: There is no such platform.
        UnsupportedModelError: The network has nothing to tune, or sizes that are not fixed.
        DataError: Records are not in the folder, as on a full disk.
    """
    if trials < 1:
        raise UsageError(f"expected at least 1 trial, got {trials}.")
    tasks = list(extract_tasks(module, target))
    _require_fixed_shapes(tasks)
    shares = task_shares(tasks, module, _predicted(module, platform, predictor))
    # With fewer trials than tasks, the largest shares have them.
    allotted = allocate_trials(shares, trials, least=1 if trials >= len(tasks) else 0)
    database = open_database(folder.path) if database is None else database
    callback = TuningCallback(
        cost_model=cost_model, log=folder.log, checkpoint=folder.checkpoint, stop_below=early_stop, live=live
    )
    keys = [f"{task_key(task.dispatched[0]['main']) & (1 << 64) - 1:016x}" for task in tasks]
    with ExitStack() as stack:
        builder = builder or InProcessBuilder()
        if runner is None:
            runner = CpuTimeRunner()
            stack.callback(runner.close)
        for key, task in zip(keys, tasks, strict=True):
            if folder.task(key).untuned_ms is None:
                folder.note(key, untuned_ms=_untuned_ms(task, builder, runner))

        @contextmanager
        def watched(index: int) -> Iterator[None]:
            _teach(cost_model, tasks[index], database)
            yield
            folder.require_all_records(database)
            folder.note(keys[index], finished_trials=allotted[index], early_stop=early_stop)

        tune_allocated(
            tasks,
            _left(folder, keys, allotted, _measured(database, tasks), early_stop),
            work_dir=folder.path,
            database=database,
            cost_model=cost_model,
            num_trials_per_iter=_TRIALS_A_ROUND,
            around_task=watched,
            log_files=False,
            strategy=ms.search_strategy.EvolutionarySearch(**_SEARCH),
            seed=random_state(seed, len(database)),
            builder=builder,
            runner=runner,
            measure_callbacks=[callback, *ms.MeasureCallback.create("default"), callback],
        )
    return _tuned(tasks, keys, shares, allotted, folder, database)


def _predicted(module: Any, platform: str, predictor: Predictor | None) -> Prediction:
    """What each operation takes; nothing of any where the network cannot be read, so that FLOPs decide."""
    try:
        return estimate(module, platform, predictor=predictor)
    except UnsupportedModelError as error:
        logger.warning("the latency cannot be predicted, so trials go by FLOPs: %s", error)
        return Prediction("", platform, 1, 0.0, 0.0, 0.0, 0.0)


def _require_fixed_shapes(tasks: Sequence[Any]) -> None:
    if not tasks:
        raise UnsupportedModelError("TVM finds nothing in the network to tune.")
    for task in tasks:
        try:
            ms.arg_info.ArgInfo.from_prim_func(task.dispatched[0]["main"])
        except Exception as error:  # TVM's exceptions share no base class but Exception
            raise UnsupportedModelError(
                f"the task {task.task_name} takes sizes that are not known before the run ({last_line(error)}); "
                "MetaSchedule tunes fixed shapes only. Fix the inputs' sizes, and leave out what makes sizes of data."
            ) from error


def _untuned_ms(task: Any, builder: Any, runner: Any) -> float | None:
    module = task.dispatched[0]
    arguments = ms.arg_info.ArgInfo.from_prim_func(module["main"])
    (result,) = measured_batch([module], [arguments], task.target, builder, runner)
    return None if result.error_msg is not None else 1e3 * fastest_secs(result)


def _teach(cost_model: NNFormerCostModel, task: Any, database: Any) -> None:
    """Tell the cost model what earlier runs have measured of a task: its file has the models alone."""
    ran = _fastest(database, task, len(database))
    if ran:
        context = ms.TuneContext(mod=task.dispatched[0], target=task.target, task_name=task.task_name)
        results = [ms.runner.RunnerResult(record.run_secs, None) for record in ran]
        cost_model.update(context, [record.as_measure_candidate() for record in ran], results)


def _measured(database: Any, tasks: Sequence[Any]) -> list[int]:
    """How many records there are of each task, failed ones included."""
    records = Counter(task_key(record.workload.mod["main"]) for record in database.get_all_tuning_records())
    return [records[task_key(task.dispatched[0]["main"])] for task in tasks]


def _left(
    folder: TuningFolder,
    keys: Sequence[str],
    allotted: Sequence[int],
    measured: Sequence[int],
    early_stop: float | None,
) -> list[int]:
    """Trials that are left to each task."""
    left = []
    for key, may_take, taken in zip(keys, allotted, measured, strict=True):
        state = folder.task(key)
        is_finished = state.finished_trials >= may_take and state.early_stop == early_stop
        left.append(0 if is_finished else max(may_take - taken, 0))
    return left


def _tuned(
    tasks: Sequence[Any],
    keys: Sequence[str],
    shares: Sequence[float],
    allotted: Sequence[int],
    folder: TuningFolder,
    database: Any,
) -> TunedNetwork:
    faster = ms.database.MemoryDatabase()
    rows = []
    for task, key, share, may_take, taken in zip(
        tasks, keys, shares, allotted, _measured(database, tasks), strict=True
    ):
        best = next(iter(_fastest(database, task, 1)), None)
        best_ms = None if best is None else 1e3 * fastest_secs(best)
        row = TunedTask(
            str(task.task_name), int(task.weight), share, may_take, taken, folder.task(key).untuned_ms, best_ms
        )
        rows.append(row)
        if best is not None and row.is_faster:
            workload = faster.commit_workload(task.dispatched[0])
            faster.commit_tuning_record(
                ms.database.TuningRecord(best.trace, workload, best.run_secs, best.target, best.args_info)
            )
    return TunedNetwork(tuple(rows), faster)


def _fastest(database: Any, task: Any, count: int) -> Sequence[Any]:
    """Records of candidates that ran, the fastest first."""
    module = task.dispatched[0]
    if not count or not database.has_workload(module):
        return []
    found: Sequence[Any] = database.get_top_k(database.commit_workload(module), count)
    return found
