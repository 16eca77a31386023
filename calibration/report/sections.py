"""What the page says, part by part."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from costmodel.calibration.report import wording
from costmodel.calibration.report.bar_chart import Bar, bar_chart
from costmodel.calibration.report.calibration_report import CalibrationReport
from costmodel.calibration.report.curve_chart import curve_chart
from costmodel.calibration.report.html_table import Column, html_table
from costmodel.calibration.report.markup import Markup, element
from costmodel.calibration.report.network_result import NetworkResult, Role
from costmodel.calibration.report.scatter_chart import scatter_chart
from costmodel.training.report import INTERVAL
from costmodel.units import format_ms

__all__ = ["page_sections"]

_INTERVAL_WORDS = f"{100 * INTERVAL:.0f} % interval"
_MOST_FAMILIES = 12
"""The table has the others."""


def page_sections(report: CalibrationReport) -> Iterator[Markup]:
    """The parts of the page, from the verdict to the single networks."""
    yield from _header(report)
    yield _figures(report)
    yield element(
        "div",
        element("div", _scatter(report), _curve(report), *_next_networks(report)),
        element("div", _families(report), _coverage(report), _fit(report)),
        class_="columns",
    )
    yield _networks(report)
    yield _footer(report)


def _header(report: CalibrationReport) -> Iterable[Markup]:
    platform = report.calibration.platform
    yield element("h1", platform.name)
    yield element("p", platform.description, class_="quiet")
    yield element("p", wording.trust_sentence(report), class_="lead")


def _figures(report: CalibrationReport) -> Markup:
    within = sum(result.within for result in report.results)
    figures = [
        (wording.percent(report.error_percent(Role.FITTED)), "mean error on networks left out of the fit"),
        (f"{report.interval_factor:.2f}", "times longer or shorter than predicted, at most, nine times in ten"),
        (f"{within} of {len(report.results)}", "measured within that interval"),
    ]
    held_back = report.results_of(Role.HELD_BACK)
    if held_back:
        figures.insert(
            1, (wording.percent(report.error_percent(Role.HELD_BACK)), f"mean error on {len(held_back)} held back")
        )
    return element(
        "dl",
        *(element("div", element("dt", words), element("dd", figure)) for figure, words in figures),
        class_="figures",
    )


def _scatter(report: CalibrationReport) -> Markup:
    return _section(
        "Predicted against measured",
        scatter_chart(report.results, report.interval_factor),
        _remark(f"{wording.interval_sentence(report)} Point at a mark for its name."),
    )


def _families(report: CalibrationReport) -> Markup:
    shown = report.family_errors[:_MOST_FAMILIES]
    worst = shown[0]
    chart = bar_chart(
        "families",
        "Error by family",
        f"Mean error from {wording.percent(worst.error_percent)} in {worst.family} "
        f"down to {wording.percent(shown[-1].error_percent)} in {shown[-1].family}.",
        [
            Bar(f"{error.family} ({error.networks})", error.error_percent, wording.percent(error.error_percent))
            for error in shown
        ],
        longest=max(worst.error_percent, 1.0),
    )
    left = len(report.family_errors) - len(shown)
    remark = f" {left} families with smaller errors are not shown." if left else ""
    words = f"Mean error, and in brackets how many networks were measured.{remark}"
    return _section("Error by family", chart, _remark(words))


def _coverage(report: CalibrationReport) -> Markup:
    groups = [("all networks", report.results)]
    groups += [(role.value, report.results_of(role)) for role in Role if report.results_of(role)]
    bars = [_coverage_bar(name, results) for name, results in groups]
    chart = bar_chart(
        "coverage",
        "Measured latencies within their interval",
        "; ".join(f"{bar.name}: {bar.text}" for bar in bars),
        bars,
        longest=100,
        wanted=100 * INTERVAL,
    )
    words = (
        f"The mark stands where {_INTERVAL_WORDS}s should end. Its width was taken from these same errors, so this "
        "is no independent test: networks that are unlike all of them may be farther off."
    )
    return _section("Interval coverage", chart, _remark(words))


def _coverage_bar(name: str, results: Sequence[NetworkResult]) -> Bar:
    within = sum(result.within for result in results)
    share = 100 * within / len(results)
    return Bar(name, share, f"{within} of {len(results)}, {share:.0f} %")


def _curve(report: CalibrationReport) -> Markup:
    heading = "What more measurements are worth"
    if not report.learning_curve:
        return _section(heading, _remark("Too few networks were measured to tell."))
    words = "Fits to networks drawn at random among those measured, tested on all others: mean and standard deviation."
    return _section(heading, curve_chart(report.learning_curve), _remark(words))


def _next_networks(report: CalibrationReport) -> Iterable[Markup]:
    if report.suggestions:
        yield _section(
            "Measure these next",
            element("ol", *(element("li", name) for name in report.suggestions)),
            _remark("The fit is least sure of these, and no two of them are alike."),
        )


def _fit(report: CalibrationReport) -> Markup:
    adaptation = report.calibration.adaptation
    ways = html_table(
        "Ways of fitting",
        [Column("way of fitting"), Column("error, left out", "number"), Column("")],
        [
            (
                candidate.strategy,
                wording.percent(candidate.error_percent),
                "chosen" if candidate.strategy == adaptation.chosen.strategy else "",
            )
            for candidate in adaptation.candidates
        ],
    )
    sentences = (
        wording.fallback_sentence(report),
        wording.resemblance_sentence(report),
        wording.kernels_sentence(report),
        wording.correction_sentence(report),
        wording.test_sentence(report),
    )
    return _section("How it was fitted", ways, *(element("p", sentence) for sentence in sentences if sentence))


def _networks(report: CalibrationReport) -> Markup:
    columns = [
        *(Column("network", "name"), Column("family"), Column("batch", "number"), Column("used")),
        *(Column("measured ms", "number"), Column("predicted ms", "number")),
        *(Column(f"{_INTERVAL_WORDS}, ms", "number"), Column("off", "number"), Column("within")),
    ]
    farthest_first = sorted(report.results, key=lambda result: abs(result.off_percent), reverse=True)
    table = html_table("All networks that were measured", columns, map(_cells, farthest_first))
    return _section("All networks, the farthest off first", table)


def _cells(result: NetworkResult) -> Sequence[str]:
    return (
        result.model,
        result.family,
        str(result.batch),
        result.role,
        format_ms(result.measured_ms),
        format_ms(result.predicted_ms),
        f"{format_ms(result.low_ms)} to {format_ms(result.high_ms)}",
        f"{result.off_percent:+.1f} %",
        "yes" if result.within else element("strong", "no"),
    )


def _footer(report: CalibrationReport) -> Markup:
    adapter = report.calibration.adapter
    return element(
        "footer",
        element("p", "Predict with it: ", element("code", report.next_command)),
        element("p", f"Fitted on the weights {adapter.weights}."),
    )


def _section(heading: str, *children: Markup) -> Markup:
    return element("section", element("h2", heading), *children)


def _remark(text: str) -> Markup:
    return element("p", text, class_="quiet")
