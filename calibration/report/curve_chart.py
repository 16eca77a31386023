"""The error against how many networks are fitted."""

from __future__ import annotations

from collections.abc import Sequence

from costmodel.calibration.report.chart import WIDTH, drawing, x_axis, y_axis
from costmodel.calibration.report.learning_curve import LearningPoint
from costmodel.calibration.report.markup import Markup, element
from costmodel.calibration.report.scales import LinearScale, LogScale

__all__ = ["curve_chart"]

_LEFT, _RIGHT = 62, WIDTH - 26
_TOP, _BOTTOM = 36, 284
_CAP = 6
_LEAST_PERCENT = 1.0
"""An error of next to nothing is drawn as such."""


def curve_chart(points: Sequence[LearningPoint]) -> Markup:
    """A line through the mean errors, with bars from one standard deviation below to one above.

    Args:
        points: At least one.
    """
    x = LogScale.over([point.networks for point in points], _LEFT, _RIGHT)
    highest = max(point.error_percent + point.spread_percent for point in points)
    y = LinearScale.up_to(max(highest, _LEAST_PERCENT), _BOTTOM, _TOP)
    line = " ".join(f"{x(point.networks):.1f},{y(point.error_percent):.1f}" for point in points)
    return drawing(
        "curve",
        "Error against networks fitted",
        "; ".join(
            f"{point.networks} networks: {point.error_percent:.1f} % off, give or take {point.spread_percent:.1f}"
            for point in points
        ),
        _BOTTOM + 44,
        [
            *y_axis(y, y.ticks(), _LEFT, _RIGHT, "error on all others, %"),
            *x_axis(x, [point.networks for point in points], _BOTTOM, "networks fitted"),
            element("polyline", points=line, class_="curve"),
            *(mark for point in points for mark in _mark(point, x(point.networks), y)),
        ],
    )


def _mark(point: LearningPoint, x: float, y: LinearScale) -> list[Markup]:
    low = y(max(point.error_percent - point.spread_percent, 0))
    high = y(point.error_percent + point.spread_percent)
    whisker = f"M{x:.1f} {low:.1f}V{high:.1f}M{x - _CAP:.1f} {low:.1f}h{2 * _CAP}M{x - _CAP:.1f} {high:.1f}h{2 * _CAP}"
    tooltip = f"{point.networks} networks: {point.error_percent:.1f} % ± {point.spread_percent:.1f} %"
    return [
        element("path", d=whisker, class_="whisker"),
        element("circle", element("title", tooltip), cx=x, cy=y(point.error_percent), r=4.5, class_="fitted"),
    ]
