"""The page of a profile says what the profile says, and works in a browser."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from torch import nn

from costmodel.integrations.torch import Profile, profile
from costmodel.integrations.torch.report.module_parts import module_parts
from costmodel.predictor import Predictor
from costmodel.units import format_ms

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium")

FRAME = """<!DOCTYPE html><iframe id="page" width="{width}" height="900" src="{address}"></iframe><script>
const frame = document.getElementById("page");
frame.addEventListener("load", () => {{
  const page = frame.contentDocument;
  const shown = page.querySelectorAll("#operations tbody tr:not([hidden])").length;
  const background = frame.contentWindow.getComputedStyle(page.body).backgroundColor;
  document.body.dataset.seen = [page.documentElement.scrollWidth, shown, background].join("|");
}});
</script>"""
"""A page that looks at the page of a profile and notes its width, the rows it shows and its colour."""

LIGHT, DARK = "rgb(247, 247, 245)", "rgb(20, 23, 26)"


@pytest.fixture
def profiled(network: nn.Module, image: torch.Tensor, predictor: Predictor) -> Profile:
    return profile(network, image, predictor=predictor)


@pytest.fixture
def large(profiled: Profile) -> Profile:
    """Of 5,000 operations, in modules of long names."""
    return Profile(
        list(profiled.predictions.values()),
        (
            replace(row, name=f"op{index}", module=f"a_rather_long_name_of_a_module.{index}.{row.module}")
            for index, row in enumerate((profiled.operations * 1000)[:5000])
        ),
    )


@pytest.fixture
def empty(profiled: Profile) -> Profile:
    return Profile(list(profiled.predictions.values()), ())


def in_chromium(profiled: Profile, folder: Path, *, width: int = 1200, search: str = "", dark: bool = False):
    """Width, rows shown and colour of the page, which must not have put anything on the console."""
    page, frame = folder / "page.html", folder / "frame.html"
    page.write_text(profiled.to_html(), encoding="utf-8")
    frame.write_text(FRAME.format(width=width, address=f"{page.as_uri()}#{search}"))
    assert CHROMIUM is not None
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files", "--dump-dom")
    colours = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
    done = subprocess.run(
        [CHROMIUM, *options, colours, "--enable-logging=stderr", f"--user-data-dir={folder / 'user'}", frame.as_uri()],
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    assert "CONSOLE" not in done.stderr
    seen = re.search(r'data-seen="(\d+)\|(\d+)\|([^"]*)"', done.stdout)
    assert seen is not None, done.stdout[-500:]
    return int(seen[1]), int(seen[2]), seen[3]


class Texts(HTMLParser):
    """What is written on a page, and the addresses it loads."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.loaded: list[str] = []
        self.feed(page)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loaded += [value or "" for name, value in attrs if name in ("src", "href")]


def test_the_page_tells_every_operation_and_loads_nothing(profiled: Profile):
    page = Texts(profiled.to_html())
    assert page.loaded == []
    for row in profiled.operations:
        assert row.module in page.texts or row.name in page.texts
    for prediction in profiled.predictions.values():
        assert format_ms(prediction.latency_ms) in page.texts


def test_what_models_are_called_is_no_markup(profiled: Profile):
    (first, *others) = profiled.operations
    named = Profile(list(profiled.predictions.values()), [replace(first, module="<script>alert(1)</script>"), *others])
    assert "<script>alert" not in named.to_html()


def test_parts_hold_every_operation_once_the_slowest_first(profiled: Profile):
    for platform in profiled.platforms:
        parts = module_parts(profiled.by_module(), platform)
        times = [part.work.times[platform].latency_ms for part in parts]
        assert sum(times) == profiled.total.times[platform].latency_ms
        assert times == sorted(times, reverse=True)
        assert sum(part.work.operations for part in parts) == len(profiled.operations)


def test_the_first_bar_is_the_slowest_module(profiled: Profile):
    platform = profiled.platforms[0]
    slowest = module_parts(profiled.by_module(), platform)[0].path or "(the network itself)"
    texts = Texts(profiled.to_html()).texts
    description = next(text for text in texts if text.startswith("Slowest of "))
    assert f": {slowest}, " in description


@needs_chromium
@pytest.mark.parametrize("width", [360, 1200])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_fits_and_follows_the_readers_colours(profiled: Profile, tmp_path: Path, width: int, dark: bool):
    page_width, shown, background = in_chromium(profiled, tmp_path, width=width, dark=dark)
    assert page_width <= width
    assert shown == len(profiled.operations)
    assert background == (DARK if dark else LIGHT)


@needs_chromium
def test_a_search_leaves_the_rows_that_hold_its_words(profiled: Profile, tmp_path: Path):
    wanted = [row for row in profiled.operations if row.op_type == "Conv" and row.module.startswith("blocks.1")]
    assert len(wanted) == 1
    assert in_chromium(profiled, tmp_path, search="CONV%20blocks.1")[1] == 1


@needs_chromium
def test_a_network_of_5000_operations(large: Profile, tmp_path: Path):
    page_width, shown, _ = in_chromium(large, tmp_path, width=360)
    assert (page_width <= 360, shown) == (True, 5000)


@needs_chromium
def test_a_network_without_operations(empty: Profile, tmp_path: Path):
    assert in_chromium(empty, tmp_path)[1] == 0
    assert "Nothing in the network takes time." in Texts(empty.to_html()).texts
