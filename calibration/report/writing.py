"""A calibration's report as files; each is there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from costmodel.calibration.report.calibration_report import CalibrationReport
from costmodel.calibration.report.page import page_of
from costmodel.cli.output import as_json
from costmodel.errors import DataError
from costmodel.files import replaced

__all__ = ["write_html", "write_json"]


def write_html(report: CalibrationReport, path: str | os.PathLike[str]) -> None:
    """Write ``report`` as one HTML file, without scripts, that loads nothing from anywhere.

    A file that is there is replaced in one step.

    Raises:
        DataError: The file cannot be written.
    """
    _write(page_of(report), Path(path))


def write_json(report: CalibrationReport, path: str | os.PathLike[str]) -> None:
    """Write ``report`` as ``costmodel calibrate --format json`` prints it.

    A file that is there is replaced in one step.

    Raises:
        DataError: The file cannot be written.
    """
    _write(as_json(report), Path(path))


def _write(text: str, path: Path) -> None:
    try:
        with replaced(path) as partial:
            partial.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise DataError(
            f"cannot write the report {path}: {error.strerror}. The platform and its measurements are not "
            "harmed: make room, or name another place, and run this again."
        ) from error
