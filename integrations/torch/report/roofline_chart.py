"""How fast each operation computes, over how much it computes for each byte it moves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from costmodel.calibration.report.chart import WIDTH, drawing, label, x_axis, y_axis
from costmodel.calibration.report.markup import Markup, element
from costmodel.calibration.report.scales import LogScale
from costmodel.integrations.torch.rows import OperationRow
from costmodel.integrations.torch.work import Bound
from costmodel.units import counted, format_count, format_ms, format_percent

__all__ = ["roofline_chart"]

_LEFT, _RIGHT = 62, WIDTH - 14
_TOP, _BOTTOM = 56, 356
_SMALLEST_RADIUS, _LARGEST_RADIUS = 3.0, 16.0
_MS_PER_S = 1e3


@dataclass(frozen=True, slots=True)
class _Point:
    """An operation that computes.

    Attributes:
        row: The operation.
        latency_ms: Its time.
        intensity: FLOPs per byte.
        flops_per_s: FLOPs a second.
        bytes_per_s: Bytes a second.
        bound: What most of its time goes into.
    """

    row: OperationRow
    latency_ms: float
    intensity: float
    flops_per_s: float
    bytes_per_s: float
    bound: Bound


def roofline_chart(name: str, operations: Iterable[OperationRow], platform: str) -> Markup | None:
    """A disc for each operation that computes, as large as its time, on logarithmic axes, under the roof.

    The roof is the best that operations of this network come to: most bytes and most FLOPs a second.  Discs that would
    cover one another are one, which tells how many it stands for.

    Args:
        name: Unique in the page.
        operations: Of the network.
        platform: Where they run.

    Returns:
        The chart; nothing when no operation computes.
    """
    points = _points(operations, platform)
    if not points:
        return None
    x = LogScale.over([point.intensity for point in points], _LEFT, _RIGHT)
    y = LogScale.over([point.flops_per_s for point in points], _BOTTOM, _TOP)
    total_ms = sum(point.latency_ms for point in points)
    most_flops, most_bytes = (
        max(values) for values in zip(*((p.flops_per_s, p.bytes_per_s) for p in points), strict=True)
    )
    return drawing(
        name,
        "FLOPs a second over FLOPs per byte",
        f"{counted(len(points), 'operation')}, at most {format_count(most_flops)}FLOP/s and "
        f"{format_count(most_bytes)}B/s; both axes are logarithmic.",
        _BOTTOM + 44,
        [
            *_legend(),
            *_y_axis(y),
            *x_axis(x, x.ticks(), _BOTTOM, "FLOPs per byte"),
            _roof(x, y, most_flops, most_bytes),
            *_discs(points, x, y, total_ms),
        ],
    )


def _points(operations: Iterable[OperationRow], platform: str) -> list[_Point]:
    points = []
    for row in operations:
        time, work = row.work.times[platform], row.work
        if work.flops and work.bytes_moved and time.latency_ms > 0:
            seconds = time.latency_ms / _MS_PER_S
            points.append(
                _Point(
                    row, time.latency_ms, work.intensity, work.flops / seconds, work.bytes_moved / seconds, time.bound
                )
            )
    return points


def _y_axis(scale: LogScale) -> Iterator[Markup]:
    """As :func:`~costmodel.calibration.report.chart.y_axis`, with short numbers: a rate has many digits."""
    ticks = scale.ticks()
    yield from y_axis(scale, (), _LEFT, _RIGHT, "FLOP/s")
    for tick in ticks:
        yield element("line", x1=_LEFT, x2=_RIGHT, y1=scale(tick), y2=scale(tick), class_="grid")
        yield label(format_count(tick), _LEFT - 7, scale(tick) + 4, anchor="end")


def _roof(x: LogScale, y: LogScale, most_flops: float, most_bytes: float) -> Markup:
    """Up with the bytes, then level; in a drawing of its own so that it ends at the axes."""
    ridge = most_flops / most_bytes
    corners = [(intensity, min(intensity * most_bytes, most_flops)) for intensity in (x.low, ridge, x.high)]
    points = " ".join(
        f"{x(intensity) - _LEFT:.1f},{y(flops_per_s) - _TOP:.1f}" for intensity, flops_per_s in sorted(corners)
    )
    line = element("polyline", points=points, class_="roof")
    return element("svg", line, x=_LEFT, y=_TOP, width=_RIGHT - _LEFT, height=_BOTTOM - _TOP)


def _discs(points: Sequence[_Point], x: LogScale, y: LogScale, total_ms: float) -> Iterator[Markup]:
    """The largest first, so that none hides a smaller one."""
    places: Mapping[tuple[int, int, Bound], list[_Point]] = defaultdict(list)
    for point in points:
        places[round(x(point.intensity)), round(y(point.flops_per_s)), point.bound].append(point)
    time_ms = {place: sum(point.latency_ms for point in found) for place, found in places.items()}
    for place in sorted(places, key=lambda place: time_ms[place], reverse=True):
        across, down, bound = place
        share = time_ms[place] / total_ms
        yield element(
            "circle",
            element("title", _words(places[place], time_ms[place], share)),
            cx=across,
            cy=down,
            r=max(_SMALLEST_RADIUS, _LARGEST_RADIUS * share**0.5),
            class_=bound.value,
        )


def _words(points: Sequence[_Point], time_ms: float, share: float) -> str:
    first = max(points, key=lambda point: point.latency_ms)
    others = f" and {len(points) - 1} like it" if len(points) > 1 else ""
    return (
        f"{first.row.module or first.row.name} ({first.row.op_type}){others}: "
        f"{format_ms(time_ms)} ms, {format_percent(share)}, {first.bound}"
    )


def _legend() -> Iterator[Markup]:
    baseline = 14
    for index, bound in enumerate(Bound):
        yield element("circle", cx=_LEFT + 6 + index * 110, cy=baseline - 5, r=5, class_=bound.value)
        yield label(bound.value, _LEFT + 18 + index * 110, baseline)
