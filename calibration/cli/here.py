"""``costmodel calibrate --here``: this machine becomes a platform."""

from __future__ import annotations

from typing import Annotated

import typer

from costmodel.calibration.cli.choosing import (
    DEFAULT_SELECTION,
    CountOption,
    HeldBackOption,
    SeedOption,
    SelectOption,
    VisitsOption,
    choose_networks,
)
from costmodel.calibration.cli.finishing import (
    NameOption,
    PlatformFolderOption,
    finish,
    next_networks,
    platform_folder,
)
from costmodel.calibration.cli.running import (
    DeviceOption,
    IntervalOption,
    PrecisionOption,
    RuntimeOption,
    ThreadsOption,
    TimeLimitOption,
    run_campaign,
)
from costmodel.cli.options import DEFAULT_WEIGHTS, FormatOption, WeightsOption
from costmodel.cli.output import Format

__all__ = ["here"]

_JOURNAL = "measurements.jsonl"


def here(
    context: typer.Context,
    this_machine: Annotated[
        bool, typer.Option("--here", help="Measure this machine and make a platform of it.")
    ] = False,
    name: NameOption = "here",
    output: PlatformFolderOption = None,
    count: CountOption = 20,
    held_back: HeldBackOption = 10,
    select: SelectOption = DEFAULT_SELECTION,
    seed: SeedOption = 0,
    runtime: RuntimeOption = "onnxruntime",
    threads: ThreadsOption = 1,
    precision: PrecisionOption = "fp32",
    device: DeviceOption = "cpu",
    visits: VisitsOption = 5,
    interval: IntervalOption = 10.0,
    time_limit: TimeLimitOption = 60.0,
    weights: WeightsOption = DEFAULT_WEIGHTS,
    form: FormatOption = Format.TABLE,
) -> None:
    """Make a platform of a new device, from a handful of measurements."""
    if context.invoked_subcommand is not None:
        return
    if not this_machine:
        typer.echo(context.get_help())
        raise typer.Exit
    from costmodel.calibration import calibrate
    from costmodel.calibration.campaign import Campaign
    from costmodel.calibration.measurers import measurer_for
    from costmodel.platforms import measured_platform, platform_slug
    from costmodel.predictor import Predictor

    folder = platform_folder(name, output)
    measurer = measurer_for(runtime)(threads=threads, precision=precision, device=device)
    predictor = Predictor.from_pretrained(weights)
    pool, rows = choose_networks(predictor, count, held_back, select, seed)
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
    calibration = calibrate(
        predictor,
        [found for found in measured[:count] if found],
        measured_platform(platform_slug(name), measurer.environment(), measurer.precision),
        held_back=[found for found in measured[count:] if found],
    )
    finish(calibration, folder, form, next_networks(calibration, pool, rows))
