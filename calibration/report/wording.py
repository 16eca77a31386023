"""What a calibration came to, in sentences that the terminal and the page share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from costmodel.calibration.report.network_result import Role
from costmodel.units import counted

if TYPE_CHECKING:
    from costmodel.calibration.report.calibration_report import CalibrationReport

__all__ = [
    "correction_sentence",
    "fallback_sentence",
    "fit_sentence",
    "interval_sentence",
    "kernel_words",
    "kernels_sentence",
    "percent",
    "resemblance_sentence",
    "test_sentence",
    "trust_sentence",
]

_TRUST = (
    (1.15, "Trust it to compare networks and to plan budgets."),
    (1.5, "Trust it to choose between networks that clearly differ; leave a margin in budgets."),
    (3.0, "Trust it to tell fast networks from slow ones; measure before you decide."),
)
"""What intervals up to a factor are good for."""

_NO_TRUST = "Do not rely on it yet: measure more networks and calibrate again."
_NAMED_PLATFORMS = 3
_NAMED_SHARE_PERCENT = 10.0


def percent(value: float) -> str:
    """``"6.1 %"``."""
    return f"{value:.1f} %"


def kernel_words(kernel: str) -> str:
    """The name of a class of kernels as people read it: ``"depthwise conv"``."""
    return kernel.lower().replace("_", " ")


def fallback_sentence(report: CalibrationReport) -> str:
    """That the best known platform, rescaled, is all there is; empty where something better was found."""
    if not report.calibration.adaptation.fell_back:
        return ""
    return f"Nothing was better than {report.platform_shares[0].platform} rescaled."


def fit_sentence(report: CalibrationReport) -> str:
    """What was fitted, and how far off the ways of fitting were on networks left out."""
    chosen, tried = report.calibration.adaptation.chosen, report.calibration.adaptation.candidates
    others = [
        f"{candidate.strategy} {percent(candidate.error_percent)}"
        for candidate in tried
        if candidate.strategy != chosen.strategy
    ]
    found = f"Chosen: {chosen.strategy} ({percent(chosen.error_percent)} off on networks left out)."
    beaten = f"Others: {'; '.join(others)}." if others else ""
    return " ".join(filter(None, [fallback_sentence(report), found, beaten]))


def resemblance_sentence(report: CalibrationReport) -> str:
    """Which known platforms most of the predicted time comes from, or that it has rates of its own."""
    if not report.platform_shares:
        return "Like no known platform: its rates are its own."
    first, *others = report.platform_shares
    named = [first, *(share for share in others if share.share_percent >= _NAMED_SHARE_PERCENT)][:_NAMED_PLATFORMS]
    parts = [f"{share.platform} ({share.share_percent:.0f} %)" for share in named]
    rest = len(report.platform_shares) - len(named)
    if rest:
        parts.append(f"a little of {counted(rest, 'other')}")
    own = " Every prediction is the geometric mean of that and of rates of its own." if report.has_own_rates else ""
    return f"Resembles {_listed(parts)}.{own}"


def kernels_sentence(report: CalibrationReport) -> str:
    """Which kernels are slower or faster than there; empty where none are."""
    if not report.kernel_factors:
        return ""
    parts = [f"{kernel_words(found.kernel)} {found.factor:.2g} times" for found in report.kernel_factors]
    return f"Time taken, against those: {_listed(parts)}."


def correction_sentence(report: CalibrationReport) -> str:
    """How far networks are corrected as a whole; empty where they are not."""
    if report.correction_percent is None:
        return ""
    return f"What that adds up to is corrected, by {percent(report.correction_percent)} on average."


def trust_sentence(report: CalibrationReport) -> str:
    """What its predictions are good for."""
    return next((words for factor, words in _TRUST if report.interval_factor <= factor), _NO_TRUST)


def interval_sentence(report: CalibrationReport) -> str:
    """How far off nine in ten networks stay, and what that was judged by."""
    factor = report.interval_factor
    return (
        f"Nine in ten networks like these are expected to take {1 / factor:.2f} to {factor:.2f} times what is "
        f"predicted, judged by {len(report.results)} networks that the predictions had not seen and by how well the "
        "platforms it is made of are predicted."
    )


def test_sentence(report: CalibrationReport) -> str:
    """How it did on networks that were held back."""
    held_back = report.results_of(Role.HELD_BACK)
    if not held_back:
        return "No networks were held back to test it on."
    within = sum(result.within for result in held_back)
    return (
        f"{percent(report.error_percent(Role.HELD_BACK))} off on {counted(len(held_back), 'network')} held back, "
        f"{within} of them within the interval."
    )


def _listed(parts: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))
