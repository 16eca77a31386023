"""An HTML file that needs nothing else."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from importlib.resources import files

from costmodel.calibration.report.markup import Markup, element

__all__ = ["html_document"]


def html_document(title: str, *content: Markup, style: str = "", script: str = "") -> str:
    """A page in the style of all reports, light or dark as the reader has it, that loads nothing from anywhere.

    Args:
        title: Of the window.
        content: What the page shows.
        style: What this page needs beside the common style.
        script: Runs when the page has been read; nothing else in the page can run, whatever a model is called.
    """
    common = files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    sources = "default-src 'none'; style-src 'unsafe-inline'"
    if script:
        sources += f"; script-src 'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'"
    head = element(
        "head",
        Markup('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{sources}">'),
        element("title", title),
        element("style", Markup(common + style)),
    )
    scripts = [element("script", Markup(script))] if script else []
    body = element("body", element("main", *content), *scripts)
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"
