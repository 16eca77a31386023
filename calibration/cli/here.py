"""``costmodel calibrate --here``: this machine, or a device that TVM reaches, becomes a platform."""

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
from costmodel.calibration.cli.finishing import PlatformFolderOption, finish, next_networks, platform_folder
from costmodel.calibration.cli.measuring import MeasurerOptions
from costmodel.calibration.cli.option_groups import with_option_groups
from costmodel.calibration.cli.running import IntervalOption, TimeLimitOption, run_campaign
from costmodel.cli.options import DEFAULT_WEIGHTS, FormatOption, WeightsOption
from costmodel.cli.output import Format

__all__ = ["here"]

_JOURNAL = "measurements.jsonl"


@with_option_groups
def here(
    context: typer.Context,
    is_asked_for: Annotated[
        bool,
        typer.Option(
            "--here",
            help="Measure now, this machine or a device reached through --runtime tvm-rpc, and make a platform of it.",
        ),
    ] = False,
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            "-n",
            metavar="NAME",
            help="What the platform is to be called. Default: here, or the --key of a device elsewhere.",
        ),
    ] = None,
    output: PlatformFolderOption = None,
    count: CountOption = 20,
    held_back: HeldBackOption = 10,
    select: SelectOption = DEFAULT_SELECTION,
    seed: SeedOption = 0,
    *,
    measuring: MeasurerOptions,
    visits: VisitsOption = 5,
    interval: IntervalOption = 10.0,
    time_limit: TimeLimitOption = 60.0,
    weights: WeightsOption = DEFAULT_WEIGHTS,
    form: FormatOption = Format.TABLE,
) -> None:
    """Make a platform of a new device, from a handful of measurements."""
    if context.invoked_subcommand is not None:
        return
    if not is_asked_for:
        typer.echo(context.get_help())
        raise typer.Exit
    from costmodel.calibration import calibrate
    from costmodel.calibration.campaign import Campaign
    from costmodel.platforms import measured_platform, platform_slug
    from costmodel.predictor import Predictor

    measurer = measuring.measurer(time_limit)
    name = measuring.platform_name if name is None else name
    folder = platform_folder(name, output)
    environment = measurer.environment()  # before the work of choosing: a device elsewhere may not answer
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
        workers=measuring.workers or 1,
    )
    run_campaign(campaign)
    found = pool.measurements(campaign.journal.read().records())  # what earlier choices had measured is fitted too
    tests = [pool.networks[row].name for row in rows[count:]]
    calibration = calibrate(
        predictor,
        [measurement for name, measurement in found.items() if name not in tests],
        measured_platform(platform_slug(name), environment, measurer.precision),
        held_back=[found[name] for name in tests if name in found],
    )
    finish(calibration, output, form, next_networks(calibration, pool, found))
