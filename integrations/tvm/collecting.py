"""Measures candidates of many tasks: what the cost model learns from."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tvm_ffi
from tvm.s_tir import meta_schedule as ms

from costmodel.errors import UsageError
from costmodel.integrations.tvm.workloads import Workload

__all__ = ["Collector", "open_database"]

logger = logging.getLogger(__name__)

_BATCH = 32
"""Candidates that are built and measured together."""

_EMPTY_BATCHES = 4
"""After so many batches of random candidates without a new one, there are no others."""

_SEARCH = {"population_size": 192, "genetic_num_iters": 3, "init_min_unmeasured": 32}
"""A search of a third of the usual size: half of the records come from one, and what it finds need not be the best."""


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
        if len(known) < count // 2:
            for candidates in self._random_candidates(module, known, count // 2):
                self._measure(entry, candidates)
        if len(self._known(entry)) < count:
            self._search(workload.name, module, count - len(self._known(entry)))
        return len(self._known(entry))

    def _known(self, entry: Any) -> set[int]:
        """Hashes of the measured candidates of a task."""
        return {
            tvm_ffi.structural_hash(record.as_measure_candidate().sch.mod)
            for record in self.database.get_all_tuning_records()
            if record.workload.same_as(entry)
        }

    def _context(self, name: str, module: Any, strategy: Any) -> Any:
        return ms.TuneContext(
            mod=module,
            target=self.target,
            space_generator="post-order-apply",
            search_strategy=strategy,
            task_name=name,
            num_threads=1,
            rand_state=self.seed + 1,
        )

    def _random_candidates(self, module: Any, known: set[int], count: int) -> Iterator[Sequence[Any]]:
        context = self._context("random", module, "replay-trace")
        spaces = context.generate_design_space()
        context.pre_tuning(
            max_trials=100 * count,
            num_trials_per_iter=_BATCH,
            design_spaces=spaces,
            database=self.database,
            cost_model=ms.CostModel.create("random"),
        )
        empty = 0
        while len(known) < count and empty < _EMPTY_BATCHES:
            fresh = []
            for candidate in context.generate_measure_candidates() or ():
                key = tvm_ffi.structural_hash(candidate.sch.mod)
                if key not in known and len(known) < count:
                    known.add(key)
                    fresh.append(candidate)
            context.notify_runner_results([], [])
            empty = 0 if fresh else empty + 1
            if fresh:
                yield fresh
        context.post_tuning()

    def _measure(self, entry: Any, candidates: Sequence[Any]) -> None:
        built = self.builder.build([ms.builder.BuilderInput(found.sch.mod, self.target) for found in candidates])
        usable = [index for index, result in enumerate(built) if result.error_msg is None]
        inputs = [
            ms.runner.RunnerInput(built[index].artifact_path, self.target.kind.name, candidates[index].args_info)
            for index in usable
        ]
        results = [future.result() for future in self.runner.run(inputs)]
        for index, result in zip(usable, results, strict=True):
            _remove(Path(str(built[index].artifact_path)))
            if result.error_msg is not None:
                logger.warning("a candidate %s", result.error_msg)
                continue
            found = candidates[index]
            self.database.commit_tuning_record(
                ms.database.TuningRecord(found.sch.trace, entry, result.run_secs, self.target, found.args_info)
            )

    def _search(self, name: str, module: Any, count: int) -> None:
        strategy = ms.search_strategy.EvolutionarySearch(**_SEARCH)
        ms.tune.tune_tasks(
            tasks=[self._context(name, module, strategy)],
            task_weights=[1.0],
            work_dir="",
            max_trials_global=count,
            num_trials_per_iter=_BATCH,
            builder=self.builder,
            runner=self.runner,
            database=self.database,
            cost_model=self.cost_model(),
        )


def _remove(library: Path) -> None:
    library.unlink()
    library.parent.rmdir()
