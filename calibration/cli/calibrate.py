"""``costmodel calibrate``: a new device becomes a platform."""

from __future__ import annotations

import typer

from costmodel.calibration.cli.fit import fit
from costmodel.calibration.cli.here import here
from costmodel.calibration.cli.kit import export_, import_
from costmodel.cli.commands import Command, SubcommandGroup

__all__ = ["calibrate"]

calibrate = typer.Typer(cls=SubcommandGroup, invoke_without_command=True, add_completion=False, rich_markup_mode=None)
calibrate.callback()(here)
calibrate.command(cls=Command)(fit)
calibrate.command("export", cls=Command)(export_)
calibrate.command("import", cls=Command)(import_)
