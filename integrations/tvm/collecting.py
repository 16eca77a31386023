"""Measures candidates of many tasks: what the cost model learns from."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import tvm_ffi
from tvm.ir.utils import derived_object
from tvm.s_tir import meta_schedule as ms

from costmodel.errors import UsageError
from costmodel.integrations.tvm.intrinsics import import_intrinsics
from costmodel.integrations.tvm.measuring import measured_batch
from costmodel.integrations.tvm.workloads import Workload

__all__ = ["Collector", "open_database", "random_state"]

logger = logging.getLogger(__name__)

_BATCH = 32
"""Candidates that are built and measured together."""

_EMPTY_BATCHES = 4
"""After so many batches of random candidates without a new one, there are no others."""

_SEEDS = 1 << 16
"""Room between the states of one seed and those of the next one."""

_SEARCH = {"population_size": 192, "genetic_num_iters": 3, "init_min_unmeasured": 32}
"""A search of a third of the usual size: half of the records come from one, and what it finds need not be the best."""


def random_state(seed: int, known: int) -> int:
    """TVM's state of random numbers for a search that goes on: what was drawn before is not drawn again.

    Args:
        seed: As the user gave it.
        known: How many candidates there are already.
    """
    return seed * _SEEDS + known + 1


def open_database(folder: str | Path) -> Any:
    """TVM's own JSON database of tuning records in ``folder``, which is made if needed."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    return ms.database.JSONDatabase(work_dir=str(folder))


@dataclass(frozen=True)
class Collector:
    """Fills a database with measured candidates, half of a task's drawn at random and half found by a search.

    Whatever is measured is in the database at once, so that an interrupted collection goes on where it stopped.

    Attributes:
        database: Where to; see :func:`open_database`.
        target: What to compile for.
        builder: How to build candidates.
        runner: How to time them.
        cost_model: What leads the search, for each task anew.
        seed: Of what is drawn.
    """

    database: Any
    target: Any
    builder: Any
    runner: Any
    cost_model: Callable[[], Any]
    seed: int = 0

    def collect(self, workload: Workload, count: int) -> int:
        """Measure candidates of a task until there are ``count``, or no more can be found.

        Returns:
            How many there are.

        Raises:
            UsageError: ``count`` is below 2.
        """
        if count < 2:
            raise UsageError(f"expected at least 2 candidates a task, got {count}.")
        module = workload.module(self.target)
        # Keeps the workload in the database, whatever comes of it.
        entry = self.database.commit_workload(module)
        known = self._known(entry)
        self._draw(module, entry, known, count // 2)
        if len(known) < count:
            self._search(workload.name, module, entry, known, count - len(known))
        # A search comes to some candidates again.
        self._draw(module, entry, known, count)
        return len(known)

    def _draw(self, module: Any, entry: Any, known: set[int], count: int) -> None:
        """Measure random candidates until so many are known; those that fail are not, and others take their places."""
        tried = set(known)
        while len(known) < count:
            before = len(known)
            for candidates in self._random_candidates(module, tried, count - len(known)):
                self._commit(entry, known, candidates, self._measured(candidates))
            if len(known) == before:
                return

    def _known(self, entry: Any) -> set[int]:
        """Hashes of the measured candidates of a task."""
        return {
            _key(record.as_measure_candidate())
            for record in self.database.get_all_tuning_records()
            if record.workload.same_as(entry)
        }

    def _context(self, name: str, module: Any, strategy: Any, state: int) -> Any:
        import_intrinsics()
        return ms.TuneContext(
            mod=module,
            target=self.target,
            space_generator="post-order-apply",
            search_strategy=strategy,
            task_name=name,
            num_threads=1,
            rand_state=state,
        )

    def _random_candidates(self, module: Any, tried: set[int], count: int) -> Iterator[Sequence[Any]]:
        """Batches of at most ``count`` candidates that were not tried."""
        context = self._context("random", module, "replay-trace", random_state(self.seed, len(tried)))
        spaces = context.generate_design_space()
        context.pre_tuning(
            max_trials=100 * count,
            num_trials_per_iter=_BATCH,
            design_spaces=spaces,
            database=self.database,
            cost_model=ms.CostModel.create("random"),
        )
        enough, empty = len(tried) + count, 0
        while len(tried) < enough and empty < _EMPTY_BATCHES:
            fresh = []
            for candidate in context.generate_measure_candidates() or ():
                key = _key(candidate)
                if key not in tried and len(tried) < enough:
                    tried.add(key)
                    fresh.append(candidate)
            context.notify_runner_results([], [])
            empty = 0 if fresh else empty + 1
            if fresh:
                yield fresh
        context.post_tuning()

    def _measured(self, candidates: Sequence[Any]) -> list[Any]:
        """TVM's runner results, one a candidate."""
        modules, arguments = [found.sch.mod for found in candidates], [found.args_info for found in candidates]
        return measured_batch(modules, arguments, self.target, self.builder, self.runner)

    def _commit(self, entry: Any, known: set[int], candidates: Sequence[Any], results: Sequence[Any]) -> None:
        """Put those that ran, and were not known, into the database."""
        for found, result in zip(candidates, results, strict=True):
            if result.error_msg is not None:
                logger.warning("a candidate %s", result.error_msg)
                continue
            key = _key(found)
            if key not in known:
                known.add(key)
                self.database.commit_tuning_record(
                    ms.database.TuningRecord(found.sch.trace, entry, result.run_secs, self.target, found.args_info)
                )

    def _search(self, name: str, module: Any, entry: Any, known: set[int], count: int) -> None:
        strategy = ms.search_strategy.EvolutionarySearch(**_SEARCH)
        callbacks = [
            _Committing(partial(self._commit, entry, known)),
            ms.measure_callback.RemoveBuildArtifact(),
            ms.measure_callback.UpdateCostModel(),
        ]
        ms.tune.tune_tasks(
            tasks=[self._context(name, module, strategy, self.seed + 1)],
            task_weights=[1.0],
            work_dir="",
            max_trials_global=count,
            num_trials_per_iter=_BATCH,
            builder=self.builder,
            runner=self.runner,
            database=self.database,
            cost_model=self.cost_model(),
            measure_callbacks=callbacks,
        )


@derived_object
class _Committing(ms.measure_callback.PyMeasureCallback):  # type: ignore[misc]  # TVM has no types
    """Hands what a search has measured on."""

    def __init__(self, commit: Callable[[Sequence[Any], Sequence[Any]], None]) -> None:
        super().__init__()
        self._commit = commit

    def apply(
        self,
        task_scheduler: Any,  # noqa: ARG002  # TVM's signature
        task_id: int,  # noqa: ARG002
        measure_candidates: Sequence[Any],
        builder_results: Sequence[Any],  # noqa: ARG002  # a failed build has a failed run
        runner_results: Sequence[Any],
    ) -> None:
        """TVM calls this after each batch."""
        self._commit(measure_candidates, runner_results)


def _key(candidate: Any) -> int:
    key: int = tvm_ffi.structural_hash(candidate.sch.mod)
    return key
