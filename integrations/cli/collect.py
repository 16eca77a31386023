"""``costmodel tvm collect``: measures candidates of the workloads, here or on devices of a TVM tracker."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from costmodel.cli.errors import FAILURE
from costmodel.cli.options import FormatOption
from costmodel.cli.output import Format, Output, Report
from costmodel.cli.talk import tracked
from costmodel.errors import MissingDependencyError, UsageError
from costmodel.files import sole_writer
from costmodel.integrations.cli.interrupts import interruptible_search, one_by_one, stopped_in
from costmodel.integrations.cli.options import (
    CompileTargetOption,
    TaskOption,
    matching,
    measurable_target,
    parse_target,
)
from costmodel.integrations.cli.reading import open_records, target_of_records
from costmodel.integrations.cli.tvm_talk import quieten_tvm

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["CollectedTask", "CollectionReport", "Search", "collect"]

logger = logging.getLogger(__name__)

_XGB_WARMUP = 32
"""TVM's own 100, up to which XGBModel guesses, is more than a search measures here by default."""


class Search(StrEnum):
    """The cost model that leads the search for half of the candidates."""

    NNFORMER = "nnformer"
    XGB = "xgb"
    RANDOM = "random"


def collect(
    folder: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            file_okay=False,
            help="Folder of TVM's JSON database; run again to go on.",
        ),
    ],
    task: TaskOption = None,
    wide: Annotated[
        bool, typer.Option("--wide", help="The wide catalogue too: three times as many shapes, and more kinds.")
    ] = False,
    count: Annotated[int, typer.Option(min=2, metavar="N", help="Candidates of each task.")] = 120,
    target: CompileTargetOption = None,
    search: Annotated[
        Search, typer.Option(help="What leads the search for half of the candidates; the others are drawn.")
    ] = Search.NNFORMER,
    visits: Annotated[int, typer.Option(min=1, metavar="N", help="Rounds over a batch; the fastest run counts.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Of what is drawn.")] = 0,
    tracker: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Measure on devices of this TVM tracker.  [default: on this machine]"),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="What the devices' servers are registered under; needs --target."),
    ] = None,
    linker: Annotated[
        str | None, typer.Option(metavar="PATH", help="Cross compiler that links.  [default: this machine's]")
    ] = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Measure candidates of tuning tasks, which train and evaluate learn from."""
    from costmodel.integrations.tvm.collecting import Collector
    from costmodel.integrations.tvm.measuring import InProcessBuilder
    from costmodel.integrations.tvm.workloads import WIDE_WORKLOADS, WORKLOADS

    quieten_tvm()
    workloads = matching((*WORKLOADS, *WIDE_WORKLOADS) if wide else WORKLOADS, task or "*")
    compiled_for = _target(target, tracker, key)
    builder = InProcessBuilder(linker)
    cost_model = _cost_model(search, seed)
    found = []
    with (
        sole_writer(folder),
        interruptible_search(stopped_in(folder)) as check,
        _runner(tracker, key, visits) as runner,
    ):
        database = _database(folder, compiled_for)
        builder = one_by_one(builder, check)
        collector = Collector(database, compiled_for, builder, runner, cost_model, seed)
        with tracked(workloads, "measuring", few=0) as tasks:
            for workload in tasks:
                collector.collect(workload, count)
                check()
                found.append(_collected(database, workload, compiled_for))
    Output(form).write(CollectionReport(found))
    empty = [row.task for row in found if row.best_ms is None]
    if empty:
        logger.warning("no candidate of %s could be measured; -v says more.", ", ".join(empty))
        raise typer.Exit(FAILURE)


@dataclass(frozen=True, slots=True)
class CollectedTask:
    """What there is of a task now.

    Attributes:
        task: Its name.
        kind: What sort of operator it is.
        records: Candidates in the folder that ran.
        best_ms: Time of the fastest; ``None`` if none ran.
    """

    task: str
    kind: str
    records: int
    best_ms: float | None


class CollectionReport(Report):
    """What a collection has come to, task by task.

    Args:
        tasks: In the order they were measured.
    """

    def __init__(self, tasks: Sequence[CollectedTask]) -> None:
        self._tasks = tasks

    def document(self) -> dict[str, object]:
        """``{"tasks": [...]}`` with every field of a :class:`CollectedTask`."""
        return {"tasks": list(self.rows())}

    def columns(self) -> Sequence[str]:
        """The fields of a :class:`CollectedTask`."""
        return tuple(field.name for field in fields(CollectedTask))

    def rows(self) -> Iterable[dict[str, object]]:
        """One row per task."""
        return map(asdict, self._tasks)

    def tables(self) -> Iterable[RenderableType]:
        """One line per task."""
        from rich.table import Table

        table = Table(box=None, pad_edge=False)
        for heading in ("task", "kind"):
            table.add_column(heading, overflow="fold")
        for heading in ("records", "best ms"):
            table.add_column(heading, justify="right")
        for row in self._tasks:
            table.add_row(row.task, row.kind, str(row.records), "" if row.best_ms is None else f"{row.best_ms:.4g}")
        yield table


def _target(text: str | None, tracker: str | None, key: str | None) -> Any:
    """What to compile for.

    Raises:
        UsageError: It cannot be measured where it should be.
    """
    if (tracker is None) != (key is None):
        raise UsageError("--tracker says where the devices are and --key which of them; give both, or neither.")
    if tracker is None:
        return measurable_target(text)
    if text is None:
        from costmodel.integrations.tvm.targets import EXAMPLE

        raise UsageError(f"--key needs --target, what its processor is, such as '{EXAMPLE}'.")
    return parse_target(text)


@contextmanager
def _runner(tracker: str | None, key: str | None, visits: int) -> Iterator[Any]:
    """What times candidates, here or on a device.

    Raises:
        UsageError: That is no address of a tracker.
        NoDeviceError: The tracker does not answer, or has no such device.
    """
    from costmodel.calibration.cli.tvm_options import parse_tracker
    from costmodel.integrations.tvm.measuring import CpuTimeRunner, rpc_runner

    if tracker is None or key is None:
        with closing(CpuTimeRunner(visits)) as here:
            yield here
        return
    runner = rpc_runner(*parse_tracker(tracker), key, runs=visits)
    try:
        yield runner
    finally:
        runner.pool.shutdown()


def _cost_model(search: Search, seed: int) -> Callable[[], Any]:
    """Makes the cost model that leads a search; whatever it lacks is told now, not after the first hour."""
    from tvm.s_tir.meta_schedule import cost_model

    if search is Search.RANDOM:
        return lambda: cost_model.RandomModel(seed=seed)
    if search is Search.XGB:
        if find_spec("xgboost") is None:
            raise MissingDependencyError("xgboost", "bench", "--search xgb")
        config = cost_model.xgb_model.XGBConfig(seed=seed)
        return lambda: cost_model.XGBModel(config=config, num_tuning_cores=1, num_warmup_samples=_XGB_WARMUP)
    from costmodel.integrations.tvm.cost_model import NNFormerCostModel

    NNFormerCostModel.from_pretrained()
    return NNFormerCostModel.from_pretrained


def _database(folder: Path, target: Any) -> Any:
    """The database to go on with, or a new one.

    Raises:
        DataError: The folder cannot be made, or has damaged records.
        UsageError: It has records of another target.
    """
    from costmodel.integrations.tvm.targets import as_json

    database = open_records(folder)
    recorded = target_of_records([database])
    if recorded is not None and as_json(recorded) != as_json(target):
        raise UsageError(
            f"{folder} has records for {as_json(recorded)}, not for {as_json(target)}. Choose another folder with -o."
        )
    return database


def _collected(database: Any, workload: Any, target: Any) -> CollectedTask:
    from costmodel.integrations.tvm.records import fastest_secs

    entry = database.commit_workload(workload.module(target))
    ran = database.get_top_k(entry, len(database))
    best_ms = fastest_secs(ran[0]) * 1e3 if ran else None
    return CollectedTask(workload.name, workload.kind, len(ran), best_ms)
