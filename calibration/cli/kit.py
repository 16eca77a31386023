"""``costmodel calibrate export`` and ``import``: a device that we are not installed on."""

from __future__ import annotations

import logging
from pathlib import Path
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
from costmodel.calibration.cli.finishing import NameOption, PlatformFolderOption, finish, warn_of
from costmodel.calibration.cli.measuring import ThreadsOption
from costmodel.cli.options import DEFAULT_WEIGHTS, FormatOption, WeightsOption
from costmodel.cli.output import Format
from costmodel.cli.talk import say

__all__ = ["export_", "import_"]

logger = logging.getLogger(__name__)


def export_(
    kit: Annotated[Path, typer.Argument(metavar="KIT", help="Folder to make, or a file that ends in .zip.")],
    count: CountOption = 20,
    held_back: HeldBackOption = 10,
    select: SelectOption = DEFAULT_SELECTION,
    seed: SeedOption = 0,
    threads: ThreadsOption = 1,
    visits: VisitsOption = 5,
    weights: WeightsOption = DEFAULT_WEIGHTS,
) -> None:
    """Write models and a runner for a device that costmodel is not installed on."""
    from costmodel.calibration.kit import export_kit
    from costmodel.predictor import Predictor

    pool, rows = choose_networks(Predictor.from_pretrained(weights), count, held_back, select, seed)
    export_kit([pool.networks[row] for row in rows], kit, threads=threads, visits=visits, progress=logger.info)
    say(f"{len(rows)} models and run.py are in {kit}; its README.txt says what to do on the device")


def import_(
    kit: Annotated[Path, typer.Argument(metavar="KIT", exists=True, help="The kit as it came back, folder or .zip.")],
    name: NameOption,
    results: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The results, if they are not in the kit.")
    ] = None,
    held_back: HeldBackOption = 10,
    output: PlatformFolderOption = None,
    weights: WeightsOption = DEFAULT_WEIGHTS,
    form: FormatOption = Format.TABLE,
) -> None:
    """Make a platform of what a kit measured."""
    from costmodel.calibration import calibrate
    from costmodel.calibration.kit import import_kit
    from costmodel.platforms import platform_slug
    from costmodel.predictor import Predictor

    found = import_kit(kit, results)
    warn_of(found.problems)
    measurements = found.measurements()
    fitted = max(len(measurements) - held_back, min(len(measurements), 3))
    calibration = calibrate(
        Predictor.from_pretrained(weights),
        measurements[:fitted],
        found.platform(platform_slug(name)),
        held_back=measurements[fitted:],
    )
    finish(calibration, output, form)
