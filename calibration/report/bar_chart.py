"""Bars that lie, one a row, each under its name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from costmodel.calibration.report.chart import WIDTH, drawing, label, shortened
from costmodel.calibration.report.markup import Markup, element

__all__ = ["Bar", "bar_chart"]

_ROW_HEIGHT = 42
_BASELINE = 15
_BAR_TOP = 24
_BAR_HEIGHT = 8
_MOST_CHARACTERS = 32


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar.

    Attributes:
        name: What it stands for.
        value: Its length; not negative.
        text: The value as people read it.
    """

    name: str
    value: float
    text: str


def bar_chart(
    name: str, title: str, description: str, bars: Sequence[Bar], *, longest: float, wanted: float | None = None
) -> Markup:
    """Bars one below the other.

    Args:
        name: Unique in the page.
        title: What it shows, in a few words.
        description: What there is to be seen in it.
        bars: From top to bottom.
        longest: The value of a bar as wide as the drawing; positive.
        wanted: Where to draw a line across every bar.
    """
    marks = [mark for row, bar in enumerate(bars) for mark in _row(bar, row * _ROW_HEIGHT, WIDTH / longest, wanted)]
    return drawing(name, title, description, max(len(bars), 1) * _ROW_HEIGHT, marks)


def _row(bar: Bar, top: float, per_unit: float, wanted: float | None) -> list[Markup]:
    where = {"y": top + _BAR_TOP, "height": _BAR_HEIGHT, "rx": _BAR_HEIGHT / 2}
    marks = [
        element("g", element("title", bar.name), label(shortened(bar.name, _MOST_CHARACTERS), 0, top + _BASELINE)),
        label(bar.text, WIDTH, top + _BASELINE, anchor="end", class_="strong"),
        element("rect", x=0, width=WIDTH, class_="track", **where),
        element("rect", x=0, width=min(bar.value * per_unit, WIDTH), class_="bar", **where),
    ]
    if wanted is not None:
        x, y = wanted * per_unit, top + _BAR_TOP
        marks.append(element("line", x1=x, x2=x, y1=y - 3, y2=y + _BAR_HEIGHT + 3, class_="wanted"))
    return marks
