"""What a calibration came to, for people and for programs, and what to measure next."""

from __future__ import annotations

from costmodel.calibration.report.calibration_report import CalibrationReport
from costmodel.calibration.report.family_error import FamilyError
from costmodel.calibration.report.kernel_factor import KernelFactor
from costmodel.calibration.report.learning_curve import LearningPoint, learning_curve
from costmodel.calibration.report.network_result import NetworkResult, Role
from costmodel.calibration.report.platform_share import PlatformShare
from costmodel.calibration.report.suggestions import suggest_next
from costmodel.calibration.report.writing import write_html, write_json

__all__ = [
    # The report
    "CalibrationReport",
    "write_html",
    "write_json",
    # What it is made of
    "FamilyError",
    "KernelFactor",
    "LearningPoint",
    "NetworkResult",
    "PlatformShare",
    "Role",
    "learning_curve",
    # What to do next
    "suggest_next",
]
