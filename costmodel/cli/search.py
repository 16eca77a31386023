"""``costmodel search``: architectures that are both accurate and fast, by predictions."""

from __future__ import annotations

import csv
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from costmodel.cli.options import DEFAULT_WEIGHTS, BatchOption, FormatOption, WeightsOption
from costmodel.cli.output import Format, Output
from costmodel.cli.talk import wants_progress
from costmodel.files import replaced, sole_writer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costmodel.search import Candidate, SearchStudy

__all__ = ["search"]


class Sampler(StrEnum):
    """How architectures are proposed."""

    NSGA2 = "nsga2"
    RANDOM = "random"


def search(
    accuracy: Annotated[
        Path,
        typer.Argument(
            metavar="ACCURACIES",
            help="Folder of an accuracy predictor, as costmodel train writes it.",
        ),
    ],
    platform: Annotated[
        str,
        typer.Option("--platform", "-p", metavar="NAME", help="Platform, or the folder of a calibrated one."),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Folder of the search. Default: runs/search-PLATFORM."),
    ] = None,
    proposals: Annotated[
        int,
        typer.Option("--proposals", "-n", min=1, metavar="N", help="How many to judge, earlier ones included."),
    ] = 2000,
    sampler: Annotated[Sampler, typer.Option(help="Evolutionary (NSGA-II), or at random.")] = Sampler.NSGA2,
    population: Annotated[int, typer.Option(min=2, help="Architectures a generation.")] = 50,
    seed: Annotated[int, typer.Option(min=0, help="Of what is proposed.")] = 0,
    batch: BatchOption = None,
    weights: WeightsOption = DEFAULT_WEIGHTS,
    form: FormatOption = Format.TABLE,
) -> None:
    """Search a space for architectures that are accurate and fast.

    Nothing is trained or measured: both are predicted.  The folder keeps the search, so that the same command with more
    proposals goes on; front.csv, candidates.csv and front.png.
    """
    from costmodel.accuracy_predictor import AccuracyPredictor
    from costmodel.cli.predict import resolve_platforms
    from costmodel.cli.search_report import FrontReport
    from costmodel.predictor import Predictor
    from costmodel.search import PredictedObjectives, SearchSettings, SearchStudy
    from costmodel.search.plot import plot_front

    predictor, (found, *_) = resolve_platforms(Predictor.from_pretrained(weights), platform)
    objectives = PredictedObjectives(
        AccuracyPredictor.from_pretrained(accuracy), predictor, found.name, 1 if batch is None else batch
    )
    folder = output or Path("runs", f"search-{found.name}")
    settings = SearchSettings(sampler=sampler.value, population=population, seed=seed)
    folder.mkdir(parents=True, exist_ok=True)
    with sole_writer(folder):
        study = SearchStudy(objectives, settings, folder / "study.journal")
        _run(study, proposals)
        _write(study.front, folder / "front.csv")
        _write(study.candidates, folder / "candidates.csv")
        plot_front(study.candidates, found.name, folder / "front.png")
    Output(form).write(FrontReport(study.front, len(study.candidates), found.name, folder))


def _run(study: SearchStudy, proposals: int) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("searching"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not wants_progress()) as bar:
        task = bar.add_task("", total=proposals, completed=len(study))
        study.run(proposals, lambda done: bar.update(task, completed=done))


def _write(candidates: Sequence[Candidate], path: Path) -> None:
    with replaced(path) as partial, partial.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("arch", "accuracy_percent", "latency_ms"))
        writer.writerows((one.arch, f"{one.accuracy_percent:.4f}", f"{one.latency_ms:.6g}") for one in candidates)
