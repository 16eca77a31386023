"""Predicted against measured latency."""

from __future__ import annotations

from collections.abc import Sequence

from costmodel.calibration.report.chart import WIDTH, drawing, label, x_axis, y_axis
from costmodel.calibration.report.markup import Markup, element
from costmodel.calibration.report.network_result import NetworkResult, Role
from costmodel.calibration.report.scales import LogScale
from costmodel.units import format_ms

__all__ = ["scatter_chart"]

_LEFT, _RIGHT = 62, WIDTH - 26
_TOP = 56
_BOTTOM = _TOP + _RIGHT - _LEFT
_RADIUS = 5


def scatter_chart(results: Sequence[NetworkResult], interval_factor: float) -> Markup:
    """One mark a network on logarithmic axes, the diagonal, and around it the 90 % interval.

    Networks it was fitted to are filled discs, those held back are open diamonds; each tells its name when pointed at.

    Args:
        results: At least one.
        interval_factor: Times which, and divided by which, a prediction makes its interval.
    """
    latencies = [latency for result in results for latency in (result.measured_ms, result.predicted_ms)]
    x = LogScale.over(latencies, _LEFT, _RIGHT)
    y = LogScale(x.low, x.high, _BOTTOM, _TOP)
    within = sum(result.within for result in results)
    return drawing(
        "scatter",
        "Predicted against measured latency",
        f"{len(results)} networks between {format_ms(x.low)} and {format_ms(x.high)} ms, both axes logarithmic; "
        f"{within} lie within the band of the 90 % interval around the diagonal.",
        _BOTTOM + 44,
        [
            *_legend(),
            *y_axis(y, y.ticks(), _LEFT, _RIGHT, "predicted, ms"),
            _band(x, interval_factor),
            element("line", x1=_LEFT, y1=_BOTTOM, x2=_RIGHT, y2=_TOP, class_="diagonal"),
            *x_axis(x, x.ticks(), _BOTTOM, "measured, ms"),
            *(_mark(result, x(result.measured_ms), y(result.predicted_ms)) for result in results),
        ],
    )


def _band(scale: LogScale, factor: float) -> Markup:
    """The interval, in a drawing of its own so that it ends at the axes."""
    side = _RIGHT - _LEFT
    half = min(scale(scale.low * factor) - _LEFT, side)
    corners = [(0, side - half), (0, side), (half, side), (side, half), (side, 0), (side - half, 0)]
    points = " ".join(f"{across:.1f},{down:.1f}" for across, down in corners)
    return element("svg", element("polygon", points=points, class_="band"), x=_LEFT, y=_TOP, width=side, height=side)


def _mark(result: NetworkResult, x: float, y: float) -> Markup:
    tooltip = element(
        "title",
        f"{result.model}, {result.role}: measured {format_ms(result.measured_ms)} ms, "
        f"predicted {format_ms(result.predicted_ms)} ms ({result.off_percent:+.1f} %)",
    )
    return _disc(x, y, tooltip) if result.role is Role.FITTED else _diamond(x, y, tooltip)


def _disc(x: float, y: float, *children: Markup) -> Markup:
    return element("circle", *children, cx=x, cy=y, r=_RADIUS - 0.5, class_="fitted")


def _diamond(x: float, y: float, *children: Markup) -> Markup:
    path = f"M{x:.1f} {y - _RADIUS - 1:.1f}l{_RADIUS + 1} {_RADIUS + 1}l-{_RADIUS + 1} {_RADIUS + 1}"
    return element("path", *children, d=f"{path}l-{_RADIUS + 1} -{_RADIUS + 1}z", class_="held-back")


def _legend() -> list[Markup]:
    baseline = 14
    middle = baseline - 5
    return [
        _disc(_LEFT + 6, middle),
        label("fitted", _LEFT + 18, baseline),
        _diamond(_LEFT + 92, middle),
        label("held back", _LEFT + 104, baseline),
        element("rect", x=_LEFT + 208, y=middle - 6, width=20, height=12, class_="band"),
        label("90 % interval", _LEFT + 236, baseline),
    ]
