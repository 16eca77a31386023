"""``costmodel tvm tune``: from an ONNX file to a tuned library."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from costmodel.cli.options import BatchOption, FormatOption, ShapeOption, parse_shapes
from costmodel.cli.output import Format, Output, Report
from costmodel.cli.talk import wants_progress
from costmodel.files import sole_writer
from costmodel.integrations.cli.interrupts import interruptible_search, one_by_one, stopped_in
from costmodel.integrations.cli.options import CompileTargetOption, measurable_target
from costmodel.integrations.cli.reading import open_records
from costmodel.integrations.cli.tvm_talk import quieten_tvm

if TYPE_CHECKING:
    from rich.console import RenderableType

    from costmodel.integrations.tvm.network_check import CheckedLibrary
    from costmodel.integrations.tvm.network_tuning import TunedTask

__all__ = ["TuningReport", "tune"]


def tune(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="An ONNX file with its weights.")],
    folder: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            file_okay=False,
            help="Folder of the library and all that leads there; run again to go on.",
        ),
    ],
    trials: Annotated[
        int,
        typer.Option(min=1, metavar="N", help="Candidates of all tasks, those of earlier runs included."),
    ] = 1000,
    target: CompileTargetOption = None,
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights",
            "-w",
            metavar="NAME_OR_FILE",
            help="The cost model to start with. Default: the one that comes with the package.",
        ),
    ] = None,
    early_stop: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="FRACTION",
            help="End a task after two rounds that were expected to bring, and brought, less than this, e.g. 0.02.  "
            "[default: never]",
        ),
    ] = None,
    platform: Annotated[
        str | None,
        typer.Option(
            "--platform",
            "-p",
            metavar="NAME",
            help="Where each task's share of the latency is predicted.  [default: one core of a server]",
        ),
    ] = None,
    shape: ShapeOption = None,
    batch: BatchOption = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the search.")] = 0,
    form: FormatOption = Format.TABLE,
) -> None:
    """Tune a network with TVM on one core of this machine, and compile it."""
    from costmodel.integrations.tvm.cost_model import NNFormerCostModel
    from costmodel.integrations.tvm.measuring import CpuTimeRunner, InProcessBuilder
    from costmodel.integrations.tvm.network_check import compile_checked
    from costmodel.integrations.tvm.network_tuning import SHARES_PLATFORM, tune_network
    from costmodel.integrations.tvm.networks import import_onnx, load_onnx
    from costmodel.integrations.tvm.tuning_folder import TuningFolder
    from costmodel.integrations.tvm.weights import DEFAULT_WEIGHTS

    quieten_tvm()
    network = load_onnx(model, shapes=parse_shapes(shape), batch=batch)
    compiled_for = measurable_target(target)
    cost_model = NNFormerCostModel.from_pretrained(weights or DEFAULT_WEIGHTS)
    with (
        sole_writer(folder),
        interruptible_search(stopped_in(folder)) as check,
        closing(CpuTimeRunner()) as runner,
    ):
        module = import_onnx(network)
        work = TuningFolder.open(folder, module, compiled_for, cost_model)
        tuned = tune_network(
            module,
            compiled_for,
            work,
            trials,
            cost_model=cost_model,
            early_stop=early_stop,
            platform=platform or SHARES_PLATFORM,
            database=open_records(folder),
            builder=one_by_one(InProcessBuilder(), check),
            runner=runner,
            seed=seed,
            live=wants_progress(),
        )
        check()
        library = compile_checked(network, module, compiled_for, tuned.database, work.library)
    Output(form).write(TuningReport(tuned.tasks, library))


_COLUMNS = ("task", "weight", "share", "trials", "measured", "untuned_ms", "best_ms", "is_faster")


class TuningReport(Report):
    """What tuning has come to, task by task, and the compiled network.

    Args:
        tasks: In the order of the network.
        library: The compiled network.
    """

    def __init__(self, tasks: Sequence[TunedTask], library: CheckedLibrary) -> None:
        self._tasks = tasks
        self._library = library

    def document(self) -> dict[str, object]:
        """``{"tasks": [...], "library": {...}}``.

        With the fields of :class:`~costmodel.integrations.tvm.network_tuning.TunedTask` and
        :class:`~costmodel.integrations.tvm.network_check.CheckedLibrary`.
        """
        return {"tasks": list(self.rows()), "library": asdict(self._library)}

    def columns(self) -> Sequence[str]:
        """The fields of a task, and whether tuning made it faster."""
        return _COLUMNS

    def rows(self) -> Iterable[dict[str, object]]:
        """One row per task."""
        return ({name: getattr(task, name) for name in _COLUMNS} for task in self._tasks)

    def tables(self) -> Iterable[RenderableType]:
        """One line per task, then the network."""
        from rich.table import Table

        table = Table(box=None, pad_edge=False)
        table.add_column("task", overflow="fold")
        for heading in ("times", "share", "trials", "measured", "untuned ms", "best ms"):
            table.add_column(heading, justify="right")
        for row in self._tasks:
            cells = (row.weight, f"{row.share:.1%}", row.trials, row.measured, _ms(row.untuned_ms), _ms(row.best_ms))
            table.add_row(row.task, *map(str, cells))
        yield table
        yield ""
        yield from _sentences(self._library)


def _sentences(library: CheckedLibrary) -> Iterable[str]:
    yield (
        f"{library.untuned_ms:.4g} ms without tuning, {library.tuned_ms:.4g} ms tuned: "
        f"{library.untuned_ms / library.tuned_ms:.2f} times as fast"
    )
    theirs = library.onnxruntime_difference
    others = "" if theirs is None else f", and from onnxruntime's by {theirs:.1e}"
    yield (
        f"outputs differ from those without tuning by {library.difference:.1e} of the largest{others}; "
        f"at most {library.tolerance:g} is allowed"
    )
    yield f"the library is {library.path}"


def _ms(milliseconds: float | None) -> str:
    return "" if milliseconds is None else f"{milliseconds:.4g}"
