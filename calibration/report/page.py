"""The report as one HTML file that needs nothing else."""

from __future__ import annotations

from importlib.resources import files

from costmodel.calibration.report.calibration_report import CalibrationReport
from costmodel.calibration.report.markup import Markup, element
from costmodel.calibration.report.sections import page_sections

__all__ = ["page_of"]

_META = Markup(
    '<meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    # Whatever a model is called, nothing runs and nothing is loaded.
    """<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">"""
)


def page_of(report: CalibrationReport) -> str:
    """The page as HTML, without scripts, that loads nothing from anywhere."""
    style = Markup(files(__package__).joinpath("page.css").read_text(encoding="utf-8"))
    title = f"{report.calibration.platform.name}, calibrated"
    head = element("head", _META, element("title", title), element("style", style))
    body = element("body", element("main", *page_sections(report)))
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"
