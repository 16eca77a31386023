"""``costmodel tvm evaluate``: how well a cost model orders the candidates of each task."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Annotated, Any

import typer

from costmodel.cli.options import FileOption, FormatOption
from costmodel.cli.output import Format, Output, Report
from costmodel.cli.talk import tracked
from costmodel.errors import DataError
from costmodel.integrations.cli.interrupts import interruptible
from costmodel.integrations.cli.options import RecordsArgument, TargetOption, TaskOption, matching
from costmodel.integrations.cli.reading import read_folders

if TYPE_CHECKING:
    from rich.console import RenderableType

    from costmodel.integrations.tvm.learning.evaluation import MeanScore, TaskScore
    from costmodel.integrations.tvm.records import TaskRecords

__all__ = ["EvaluationReport", "evaluate"]

logger = logging.getLogger(__name__)


def evaluate(
    records: RecordsArgument,
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights", "-w", metavar="NAME_OR_FILE", help="What to score. Default: those that come with the package."
        ),
    ] = None,
    task: TaskOption = None,
    measured: Annotated[
        list[int] | None,
        typer.Option(
            min=0,
            metavar="N",
            help="Candidates of each task to learn from first; the others are scored. Repeat for more.  "
            "[default: 0 and 32]",
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, metavar="N", help="Draws of those to learn from.")] = 3,
    target: TargetOption = None,
    form: FormatOption = Format.TABLE,
    file: FileOption = None,
) -> None:
    """Score how well weights order candidates, before and after some were measured."""
    from costmodel.integrations.tvm.learning.evaluation import mean_scores, score_task
    from costmodel.integrations.tvm.weights import DEFAULT_WEIGHTS, load_weights

    members, about = load_weights(weights or DEFAULT_WEIGHTS)
    counts = sorted(set(measured or (0, 32)))
    scores = []
    with interruptible("stopped."):
        tasks, _ = read_folders(records, target, of_one_target=True)
        chosen = _large_enough(matching(tasks, task or "*"), counts)
        _warn_of_tasks_trained_on(chosen, about.provenance)
        with tracked(chosen, "scoring", few=0) as rest:
            for of_task in rest:
                scores += [score_task(members, of_task, count, seeds=seeds) for count in counts]
    Output(form, file).write(EvaluationReport(scores, mean_scores(scores)))


def _large_enough(tasks: Sequence[TaskRecords], counts: Sequence[int]) -> list[TaskRecords]:
    """The tasks that can be scored whichever of ``counts`` is learned from, so that means are of the same tasks.

    Raises:
        DataError: There are none.
    """
    from costmodel.integrations.tvm.learning.evaluation import LEAST_REST

    least = max(counts) + LEAST_REST
    large = [task for task in tasks if len(task) >= least]
    if not large:
        raise DataError(
            f"no task has the {least} candidates that --measured {max(counts)} needs; expected at least {LEAST_REST} "
            "to be left to score on. Give a smaller --measured, or measure more: costmodel tvm collect"
        )
    small = [f"{task.name} ({len(task)})" for task in tasks if len(task) < least]
    if small:
        logger.warning("left out, with fewer than %d candidates: %s", least, ", ".join(small))
    return large


def _warn_of_tasks_trained_on(tasks: Sequence[TaskRecords], provenance: dict[str, Any]) -> None:
    seen = set(provenance.get("tasks", ()))
    known = [task.name for task in tasks if task.name in seen]
    if known:
        logger.warning(
            "the weights were trained on %d of these %d tasks; to see how they do on new ones, train --without some.",
            len(known),
            len(tasks),
        )


class EvaluationReport(Report):
    """Scores as JSON, CSV and tables.

    Args:
        scores: Of each task.
        means: Of each kind, and of all tasks.
    """

    def __init__(self, scores: Sequence[TaskScore], means: Sequence[MeanScore]) -> None:
        self._scores = scores
        self._means = means

    def document(self) -> dict[str, object]:
        """``{"tasks": [...], "means": [...]}``; the kind of a mean of all tasks is null."""
        return {"tasks": list(self.rows()), "means": [asdict(mean) for mean in self._means]}

    def columns(self) -> Sequence[str]:
        """The fields of a :class:`~costmodel.integrations.tvm.learning.evaluation.TaskScore`."""
        return tuple(field.name for field in fields(self._scores[0]))

    def rows(self) -> Iterable[dict[str, object]]:
        """One row per task and count of measured candidates."""
        return map(asdict, self._scores)

    def tables(self) -> Iterable[RenderableType]:
        """The tasks, then the means."""
        yield _table(
            ("task", "kind", "candidates", "measured"),
            (
                [score.task, score.kind, str(score.candidates), str(score.measured), *_cells(score)]
                for score in self._scores
            ),
        )
        yield ""
        yield _table(
            ("mean of", "tasks", "measured"),
            ([mean.kind or "all", str(mean.tasks), str(mean.measured), *_cells(mean)] for mean in self._means),
        )


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> RenderableType:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in (*headings, "pairs in order", "top-1", "top-5"):
        is_text = heading in ("task", "kind", "mean of")
        table.add_column(heading, justify="left" if is_text else "right", overflow="fold" if is_text else "ellipsis")
    for row in rows:
        table.add_row(*row)
    return table


def _cells(score: TaskScore | MeanScore) -> tuple[str, str, str]:
    accuracy = "" if score.pair_accuracy is None else f"{score.pair_accuracy:.3f}"
    return accuracy, f"{score.top_1:.3f}", f"{score.top_5:.3f}"
