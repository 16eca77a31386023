"""``costmodel calibrate``: a new device becomes a platform."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from costmodel.calibration.cli.finishing import NameOption, PlatformFolderOption, finish
from costmodel.calibration.cli.running import run_campaign
from costmodel.cli.commands import Command, SubcommandGroup
from costmodel.cli.options import DEFAULT_WEIGHTS, FormatOption, WeightsOption
from costmodel.cli.output import Format
from costmodel.cli.talk import tracked

__all__ = ["calibrate"]

calibrate = typer.Typer(cls=SubcommandGroup, invoke_without_command=True, add_completion=False, rich_markup_mode=None)

_JOURNAL = "measurements.jsonl"
_SELECTION = "representative"
"""What won in ``benchmarks/new_device_timm.py``."""

SelectOption = Annotated[
    str,
    typer.Option("--select", metavar="NAME", help="How to choose: representative, k-centre, d-optimal or random."),
]
CountOption = Annotated[int, typer.Option("--count", min=3, metavar="N", help="Networks to measure and fit.")]
HeldBackOption = Annotated[int, typer.Option(min=0, metavar="N", help="Networks to measure and only test on.")]
SeedOption = Annotated[int, typer.Option(min=0, help="Of the choice of networks.")]
ThreadsOption = Annotated[int, typer.Option(min=1, help="Threads that run one model.")]


@calibrate.callback()
def root(
    context: typer.Context,
    here: Annotated[bool, typer.Option("--here", help="Measure this machine and make a platform of it.")] = False,
    name: NameOption = "here",
    output: PlatformFolderOption = None,
    count: CountOption = 20,
    held_back: HeldBackOption = 10,
    select: SelectOption = _SELECTION,
    runtime: Annotated[str, typer.Option(help="What runs the models.")] = "onnxruntime",
    threads: ThreadsOption = 1,
    visits: Annotated[int, typer.Option(min=1, help="Rounds over the networks; the fastest run counts.")] = 5,
    interval: Annotated[
        float, typer.Option(min=0, metavar="S", help="Start rounds at least this many seconds apart.")
    ] = 10.0,
    time_limit: Annotated[float, typer.Option(min=0.1, metavar="S", help="End a visit that takes longer.")] = 60.0,
    seed: SeedOption = 0,
    weights: WeightsOption = DEFAULT_WEIGHTS,
    form: FormatOption = Format.TABLE,
) -> None:
    """Make a platform of a new device, from a handful of measurements."""
    if context.invoked_subcommand is not None:
        return
    if not here:
        typer.echo(context.get_help())
        raise typer.Exit
    from costmodel.calibration.calibrate import calibrate as fit_platform
    from costmodel.calibration.campaign import Campaign
    from costmodel.calibration.candidates import CandidatePool, candidate_networks
    from costmodel.calibration.cli.finishing import platform_folder, suggestions
    from costmodel.calibration.measurers import measurer_for
    from costmodel.calibration.selection import selection_for
    from costmodel.platforms import measured_platform
    from costmodel.predictor import Predictor

    predictor = Predictor.from_pretrained(weights)
    strategy, measurer = selection_for(select), measurer_for(runtime)(threads=threads)
    with tracked(candidate_networks(), "choosing networks", few=0) as networks:
        pool = CandidatePool.of_networks(predictor.bundle, networks)
    rows = pool.choose(count, strategy, held_back=held_back, seed=seed)
    folder = platform_folder(name, output)
    campaign = Campaign(
        [pool.networks[row] for row in rows],
        measurer,
        folder / _JOURNAL,
        platform=name,
        visits=visits,
        round_interval_s=interval,
        time_limit_s=time_limit,
    )
    records = run_campaign(campaign)
    measured = [pool.measurement(row, record) for row, record in zip(rows, records, strict=True)]
    calibration = fit_platform(
        predictor,
        [found for found in measured[:count] if found],
        measured_platform(name, measurer.environment()),
        held_back=[found for found in measured[count:] if found],
    )
    finish(calibration, folder, form, suggestions(calibration, pool, rows))


@calibrate.command(cls=Command)
def fit(
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="CSV: model (ONNX file), latency_ms, batch.")],
    name: NameOption,
    output: PlatformFolderOption = None,
    weights: WeightsOption = DEFAULT_WEIGHTS,
    form: FormatOption = Format.TABLE,
) -> None:
    """Make a platform of a table of measurements."""
    from costmodel.calibration.calibrate import calibrate as fit_platform
    from costmodel.calibration.cli.finishing import platform_folder, report_problems
    from costmodel.calibration.table import measurements_from_rows, read_measured_models
    from costmodel.predictor import Predictor

    predictor = Predictor.from_pretrained(weights)
    with tracked(read_measured_models(table), "reading models", few=4) as models:
        measurements, problems = measurements_from_rows(models)
    report_problems(problems)
    finish(fit_platform(predictor, measurements, name), platform_folder(name, output), form)
