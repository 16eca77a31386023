"""What the page says, part by part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from costmodel.calibration.report.bar_chart import Bar, bar_chart
from costmodel.calibration.report.html_table import Column, html_table
from costmodel.calibration.report.markup import Markup, element
from costmodel.integrations.torch.report.module_parts import ModulePart, module_parts
from costmodel.integrations.torch.report.roofline_chart import roofline_chart
from costmodel.integrations.torch.rows import OperationRow
from costmodel.integrations.torch.work import Work
from costmodel.units import counted, format_count, format_ms, format_percent

if TYPE_CHECKING:
    from costmodel.integrations.torch.network_profile import Profile

__all__ = ["page_sections"]

_MOST_BARS = 12


def page_sections(profile: Profile) -> Iterator[Markup]:
    """The parts of the page: latencies, a bar for each module, a roofline, and every operation."""
    total = profile.total
    yield element("h1", profile.model)
    yield element(
        "p",
        f"Predicted, not run: batch {profile.batch}, {counted(total.operations, 'operation')}, "
        f"{format_count(total.flops)} FLOPs, {format_count(total.params)} parameters.",
        class_="lead",
    )
    yield _latencies(profile)
    for number, platform in enumerate(profile.platforms):
        yield element("h2", platform, class_="platform")
        yield from (element("p", f"Warning: {text}") for text in profile.predictions[platform].warnings)
        yield element(
            "div",
            _modules(profile, platform, f"modules-{number}"),
            _roofline(profile, platform, f"roofline-{number}"),
            class_="columns",
        )
    yield _operations(profile)


def _latencies(profile: Profile) -> Markup:
    columns = [
        Column("platform", "name"),
        Column("latency, ms", "number"),
        Column("90 % interval, ms", "number"),
        Column("mostly"),
        Column("slowest module", "name"),
    ]
    rows = []
    for name, prediction in profile.predictions.items():
        parts = module_parts(profile.by_module(), name)
        rows.append(
            (
                name,
                format_ms(prediction.latency_ms),
                f"{format_ms(prediction.low_ms)} to {format_ms(prediction.high_ms)}",
                profile.total.times[name].bound.value if parts else "",
                f"{_path(parts[0])}, {format_percent(profile.share(parts[0].work, name))}" if parts else "",
            )
        )
    return _section("Latency", html_table("Latency on each platform", columns, rows))


def _modules(profile: Profile, platform: str, name: str) -> Markup:
    parts = module_parts(profile.by_module(), platform)
    if not parts:
        return _section("Time by module", _remark("Nothing in the network takes time."))
    shown = parts[:_MOST_BARS]
    slowest = shown[0]
    chart = bar_chart(
        name,
        "Time by module",
        f"Slowest of {counted(len(parts), 'module')}: {_path(slowest)}, {_time(profile, slowest.work, platform)}.",
        [Bar(_path(part), part.work.times[platform].latency_ms, _time(profile, part.work, platform)) for part in shown],
        longest=slowest.work.times[platform].latency_ms,
    )
    left_share = sum(profile.share(part.work, platform) for part in parts[_MOST_BARS:])
    left = f" {len(parts) - _MOST_BARS} more take {format_percent(left_share)}." if len(parts) > _MOST_BARS else ""
    words = "The slowest first. A module that takes much of the time is shown as those in it, each operation once."
    return _section("Time by module", chart, _remark(f"{words}{left}"))


def _roofline(profile: Profile, platform: str, name: str) -> Markup:
    chart = roofline_chart(name, profile.operations, platform)
    if chart is None:
        return _section("Roofline", _remark("No operation computes anything."))
    words = (
        "A disc is as large as the time of its operation; point at it for its name. The roof is the best that this "
        "network's operations come to, not the device's datasheet. Operations without FLOPs are left out."
    )
    return _section("Roofline", chart, _remark(words))


def _operations(profile: Profile) -> Markup:
    columns = [
        *(Column("module", "name"), Column("operator"), Column("FLOPs", "number"), Column("parameters", "number")),
        *(Column("bytes", "number"), Column("FLOPs/byte", "number")),
        *(Column(f"ms on {platform}", "number") for platform in profile.platforms),
    ]
    first = profile.platforms[0]
    slowest_first = sorted(profile.operations, key=lambda row: row.work.times[first].latency_ms, reverse=True)
    table = html_table("All operations", columns, (_cells(profile, row) for row in slowest_first))
    # The one element without an end, which element() does not make.
    box = Markup('<input id="search" type="search" placeholder="conv layer1" aria-label="Search operations">')
    search = element("search", box, element("output", "", id="count", for_="search"))
    heading = f"All operations, the slowest on {first} first"
    return element("section", element("h2", heading), search, table, id="operations")


def _cells(profile: Profile, row: OperationRow) -> Sequence[str]:
    work = row.work
    return (
        row.module or row.name,
        row.op_type,
        *map(format_count, (work.flops, work.params, work.bytes_moved, work.intensity)),
        *(_time(profile, work, platform) for platform in profile.platforms),
    )


def _time(profile: Profile, work: Work, platform: str) -> str:
    time = work.times[platform]
    return f"{format_ms(time.latency_ms)} ms, {format_percent(profile.share(work, platform))}, {time.bound}"


def _path(part: ModulePart) -> str:
    return part.path or "(the network itself)"


def _section(heading: str, *children: Markup) -> Markup:
    return element("section", element("h2", heading), *children)


def _remark(text: str) -> Markup:
    return element("p", text, class_="quiet")
