"""What every way of calibrating ends in: a platform that is saved and a report that is shown."""

from __future__ import annotations

import logging
from collections.abc import Container, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from costmodel.cli.output import Format, Output
from costmodel.cli.talk import say

if TYPE_CHECKING:
    from costmodel.calibration.calibration import Calibration
    from costmodel.calibration.candidates import CandidatePool

__all__ = ["NameOption", "PlatformFolderOption", "finish", "next_networks", "platform_folder", "warn_of"]

logger = logging.getLogger(__name__)

NameOption = Annotated[str, typer.Option("--name", "-n", metavar="NAME", help="What the platform is to be called.")]
PlatformFolderOption = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="DIR", help="Where to save it. Default: where `-p NAME` finds it."),
]


def platform_folder(name: str, output: Path | None) -> Path:
    """Where to save the platform ``name``.

    Raises:
        DataError: The name has no letter or digit.
    """
    from costmodel.platforms import named_platform
    from costmodel.pretrained import saved_platform_folder

    return output or saved_platform_folder(named_platform(name).name)


def warn_of(problems: Iterable[str]) -> None:
    """Say what could not be used, or is odd."""
    for problem in problems:
        logger.warning("%s", problem)


def next_networks(calibration: Calibration, pool: CandidatePool, measured: Container[str]) -> list[str]:
    """Names of five networks of ``pool`` to measure next, none of them among ``measured``."""
    from costmodel.calibration.report import suggest_next

    rows = [row for row, network in enumerate(pool.networks) if network.name not in measured]
    return suggest_next(calibration, pool.profiles.subset(rows), [pool.networks[row].name for row in rows])


def finish(calibration: Calibration, output: Path | None, form: Format, suggestions: Sequence[str] = ()) -> None:
    """Save the platform and its reports in ``output``, by default where its name finds it, and show one.

    Raises:
        DataError: The platform, or a report, cannot be written.
        CostModelError: Stdout cannot be written to.
    """
    from costmodel.calibration.report import CalibrationReport, write_html, write_json
    from costmodel.pretrained import save_adapter

    folder = platform_folder(calibration.platform.name, output)
    save_adapter(calibration.adapter, folder)
    report = CalibrationReport(calibration, suggestions=suggestions, folder=output)
    write_json(report, folder / "report.json")
    write_html(report, folder / "report.html")
    Output(form).write(report)
    say(f"saved, with report.html, in {folder}")
