"""The report as one HTML file that needs nothing else."""

from __future__ import annotations

from costmodel.calibration.report.calibration_report import CalibrationReport
from costmodel.calibration.report.html_document import html_document
from costmodel.calibration.report.sections import page_sections

__all__ = ["page_of"]


def page_of(report: CalibrationReport) -> str:
    """The page as HTML, without scripts, that loads nothing from anywhere."""
    return html_document(f"{report.calibration.platform.name}, calibrated", *page_sections(report))
