"""The page of a profile."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from costmodel.calibration.report.html_document import html_document
from costmodel.integrations.torch.report.sections import page_sections

if TYPE_CHECKING:
    from costmodel.integrations.torch.network_profile import Profile

__all__ = ["page_of"]


def page_of(profile: Profile) -> str:
    """The page as HTML that loads nothing from anywhere; its one script searches the table."""
    folder = files(__package__)
    return html_document(
        f"{profile.model}, profiled",
        *page_sections(profile),
        style=folder.joinpath("page.css").read_text(encoding="utf-8"),
        script=folder.joinpath("search.js").read_text(encoding="utf-8"),
    )
