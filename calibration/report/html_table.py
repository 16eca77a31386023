"""Tables that can be scrolled where the screen is narrower than they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from costmodel.calibration.report.markup import Markup, element

__all__ = ["Column", "html_table"]


class Column(NamedTuple):
    """A column.

    Attributes:
        heading: What stands above it.
        style: Class of its cells: ``"name"``, ``"number"`` or none.
    """

    heading: str
    style: str = ""


def html_table(title: str, columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> Markup:
    """A table.

    Args:
        title: What it holds, for screen readers.
        columns: Its columns.
        rows: A text for each column.
    """
    headings = (element("th", column.heading, scope="col", class_=column.style) for column in columns)
    lines = (
        element("tr", *(element("td", cell, class_=column.style) for cell, column in zip(row, columns, strict=True)))
        for row in rows
    )
    table = element("table", element("thead", element("tr", *headings)), element("tbody", *lines))
    return element("div", table, class_="scroll", role="region", aria_label=title, tabindex=0)
