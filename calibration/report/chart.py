"""What all charts have in common: a drawing that is described, axes, and texts that fit.

Lengths are in units of a drawing :data:`WIDTH` wide; the page stretches it to its column, and keeps its texts legible.
Colours come from the page's style, by class.
"""

from __future__ import annotations

from collections.abc import Iterable

from costmodel.calibration.report.markup import Markup, element
from costmodel.calibration.report.scales import LinearScale, LogScale

__all__ = ["WIDTH", "drawing", "label", "shortened", "x_axis", "y_axis"]

WIDTH = 440
"""Of every drawing."""

_LINE_HEIGHT = 18
_GAP = 7


def drawing(name: str, title: str, description: str, height: float, marks: Iterable[Markup]) -> Markup:
    """A chart as an image that screen readers can read out.

    Args:
        name: Unique in the page.
        title: What it shows, in a few words.
        description: What there is to be seen in it.
        height: In units of :data:`WIDTH`.
        marks: What is drawn, the lowest first.
    """
    return element(
        "svg",
        element("title", title, id=f"{name}-title"),
        element("desc", description, id=f"{name}-desc"),
        *marks,
        viewBox=f"0 0 {WIDTH} {height:g}",
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
    )


def label(text: str, x: float, y: float, *, anchor: str = "start", class_: str = "quiet") -> Markup:
    """A text whose baseline is at ``y``."""
    return element("text", text, x=x, y=y, text_anchor=anchor, class_=class_)


def shortened(text: str, most: int) -> str:
    """``text``, its middle left out where it has more than ``most`` characters."""
    if len(text) <= most:
        return text
    head = (most - 1) // 2
    return f"{text[:head]}…{text[head + 1 - most :]}"


def x_axis(scale: LogScale, ticks: Iterable[float], bottom: float, title: str) -> list[Markup]:
    """A line at ``bottom``, a number under it at each tick, and a title under those."""
    marks = [element("line", x1=scale.start, x2=scale.end, y1=bottom, y2=bottom, class_="axis")]
    for tick in ticks:
        marks += [
            element("line", x1=scale(tick), x2=scale(tick), y1=bottom, y2=bottom + 4, class_="axis"),
            label(f"{tick:g}", scale(tick), bottom + _LINE_HEIGHT, anchor="middle"),
        ]
    return [*marks, label(title, scale.end, bottom + 2 * _LINE_HEIGHT + 2, anchor="end")]


def y_axis(
    scale: LogScale | LinearScale, ticks: Iterable[float], left: float, right: float, title: str
) -> list[Markup]:
    """A faint line across at each tick with its number at the left, and a title above them all."""
    marks = [label(title, 0, scale.end - _LINE_HEIGHT - 2)]
    for tick in ticks:
        marks += [
            element("line", x1=left, x2=right, y1=scale(tick), y2=scale(tick), class_="grid"),
            label(f"{tick:g}", left - _GAP, scale(tick) + 4, anchor="end"),
        ]
    return marks
