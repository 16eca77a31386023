"""A profile as people read it in a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from costmodel.integrations.torch.work import Work
from costmodel.units import counted, format_count, format_ms, format_percent

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from costmodel.integrations.torch.network_profile import Profile

__all__ = ["tables"]

_DEPTH = 2
_OPERATIONS = 10
_PLATFORMS = 3
"""More columns are wider than a terminal; the documents have them all."""

_TIME_WIDTH = len("0.0123   12 % overhead")


def tables(profile: Profile) -> Iterator[RenderableType]:
    """Latencies, then modules two deep, operators and the slowest operations, with their times on three platforms."""
    total = profile.total
    yield (
        f"{profile.model}, batch {profile.batch}: {counted(total.operations, 'operation')}, "
        f"{format_count(total.flops)} FLOPs, {format_count(total.params)} parameters"
    )
    for name, prediction in profile.predictions.items():
        interval = f"90 % interval {format_ms(prediction.low_ms)} to {format_ms(prediction.high_ms)} ms"
        yield f"  {name}: {format_ms(prediction.latency_ms)} ms ({interval}), mostly {total.times[name].bound}"
        yield from (f"    warning: {warning}" for warning in prediction.warnings)
    if len(profile.platforms) > _PLATFORMS:
        yield f"  Tables are of the first {_PLATFORMS}; to_html(), to_json() and to_csv() have them all."
    modules = _table(profile, "module")
    for module in profile.by_module().walk():
        if 0 < module.depth <= _DEPTH:
            modules.add_row("  " * (module.depth - 1) + module.name, *_cells(profile, module.work))
    operators = _table(profile, "operator")
    for operator in profile.by_operator():
        operators.add_row(operator.op_type, *_cells(profile, operator.work))
    operations = _table(profile, "slowest operations")
    for operation in profile.top(_OPERATIONS):
        operations.add_row(
            f"{operation.module or operation.name} ({operation.op_type})", *_cells(profile, operation.work)
        )
    for table in (modules, operators, operations):
        if table.row_count:
            yield ""
            yield table


def _table(profile: Profile, heading: str) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column(heading, overflow="fold")
    for number in ("operations", "FLOPs", "params", "bytes", "FLOPs/byte"):
        table.add_column(number, justify="right", no_wrap=True)
    for name in profile.platforms[:_PLATFORMS]:
        table.add_column(f"ms on\n{name}", justify="right", min_width=_TIME_WIDTH, overflow="fold")
    return table


def _cells(profile: Profile, work: Work) -> Iterator[str]:
    yield str(work.operations)
    yield from map(format_count, (work.flops, work.params, work.bytes_moved, work.intensity))
    for platform in profile.platforms[:_PLATFORMS]:
        time = work.times[platform]
        share = format_percent(profile.share(work, platform))
        yield f"{format_ms(time.latency_ms)} {share:>6} {time.bound:<8}"
