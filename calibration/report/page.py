"""The report as one HTML file that needs nothing else."""

from __future__ import annotations

import os
from contextlib import suppress
from importlib.resources import files
from pathlib import Path

from costmodel.calibration.report.calibration_report import CalibrationReport
from costmodel.calibration.report.markup import Markup, element
from costmodel.calibration.report.sections import page_sections
from costmodel.errors import DataError

__all__ = ["write_html"]

_META = Markup(
    '<meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    # Whatever a model is called, nothing runs and nothing is loaded.
    """<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">"""
)


def write_html(report: CalibrationReport, path: str | os.PathLike[str]) -> None:
    """Write ``report`` as one HTML file, without scripts, that loads nothing from anywhere.

    A file that is there is replaced in one step.

    Raises:
        DataError: The file cannot be written.
    """
    path = Path(path)
    partial = path.with_name(f"{path.name}.partial")
    text = _page(report)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):  # a part of it is no use to anybody
            partial.unlink()
        raise DataError(
            f"cannot write the report {path}: {error.strerror}. The calibration itself is not harmed: "
            "name another place, or make room, and write the report again."
        ) from error


def _page(report: CalibrationReport) -> str:
    style = Markup(files(__package__).joinpath("page.css").read_text(encoding="utf-8"))
    title = f"{report.calibration.platform.name}, calibrated"
    head = element("head", _META, element("title", title), element("style", style))
    body = element("body", element("main", *page_sections(report)))
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"
