"""Two profiles side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from costmodel.cli.output import Report, as_csv, as_json, as_text
from costmodel.errors import UnknownNameError, UsageError
from costmodel.integrations.torch.change import Change, changes_between
from costmodel.integrations.torch.network_profile import Profile
from costmodel.integrations.torch.rows import OperationRow
from costmodel.integrations.torch.work import Work
from costmodel.units import format_ms

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

__all__ = ["Comparison"]

_COLUMNS = (
    "platform",
    "module",
    "before_ms",
    "after_ms",
    "change_ms",
    "before_flops",
    "after_flops",
    "before_params",
    "after_params",
)
_ROWS = 12


class Comparison(Report):
    """What :func:`~costmodel.integrations.torch.compare` found; printed, it is a table.

    A module stands for what is written in it and in none of those in it, so that changes add up to that of the network.

    Args:
        before: Profile of the first network.
        after: Profile of the second.

    Raises:
        UsageError: They have no platform in common.
    """

    def __init__(self, before: Profile, after: Profile) -> None:
        self.before, self.after = before, after
        self.platforms = tuple(name for name in before.platforms if name in after.platforms)
        if not self.platforms:
            raise UsageError(
                "the profiles have no platform in common: the first is of "
                f"{', '.join(before.platforms)}, the second of {', '.join(after.platforms)}. "
                "Profile both models on the same platforms."
            )

    def __str__(self) -> str:
        return as_text(self)

    @property
    def total(self) -> Change:
        """The networks as a whole."""
        return Change("", self.before.total, self.after.total)

    def by_module(self, platform: str | None = None) -> tuple[Change, ...]:
        """What changed on ``platform``, module by module, the largest change first.

        Raises:
            UnknownNameError: The profiles do not both have that platform.
        """
        return self._changes(lambda row: row.module, platform)

    def by_operator(self, platform: str | None = None) -> tuple[Change, ...]:
        """What changed on ``platform``, operator by operator, the largest change first.

        Raises:
            UnknownNameError: The profiles do not both have that platform.
        """
        return self._changes(lambda row: row.op_type, platform)

    def _changes(self, part_of: Callable[[OperationRow], str], platform: str | None) -> tuple[Change, ...]:
        name = self.platforms[0] if platform is None else platform
        if name not in self.platforms:
            raise UnknownNameError("platform of both profiles", name, self.platforms)
        before, after = _grouped(self.before.operations, part_of), _grouped(self.after.operations, part_of)
        changes = changes_between(before, after, self.platforms)
        return tuple(sorted(changes, key=lambda change: abs(change.change_ms(name)), reverse=True))

    # ---- export --------------------------------------------------------------------------------------------------

    def to_json(self) -> str:
        """The comparison as a JSON document."""
        return as_json(self)

    def to_csv(self) -> str:
        """A line for each platform and module."""
        return as_csv(self)

    def document(self) -> dict[str, object]:
        """The networks, their modules and operators."""
        return {
            "before": self.before.model,
            "after": self.after.model,
            "total": {platform: _row(self.total, platform) for platform in self.platforms},
            "modules": list(self.rows()),
            "operators": [
                {"platform": platform, "op_type": change.name, **_row(change, platform)}
                for platform in self.platforms
                for change in self.by_operator(platform)
            ],
        }

    def columns(self) -> Sequence[str]:
        """What there is to say of a module on a platform."""
        return _COLUMNS

    def rows(self) -> Iterator[dict[str, object]]:
        """A row for each platform and module, the largest change of each platform first."""
        for platform in self.platforms:
            for change in self.by_module(platform):
                yield {"platform": platform, "module": change.name, **_row(change, platform)}

    def tables(self) -> Iterator[RenderableType]:
        """For each platform the totals, and the modules and operators that changed most."""
        for platform in self.platforms:
            yield f"{platform}: {self.before.model} → {self.after.model}, {_in_words(self.total, platform)}"
            for heading, changes in (
                ("module", self.by_module(platform)),
                ("operator", self.by_operator(platform)),
            ):
                table = _table(heading, changes[:_ROWS], platform)
                if table.row_count:
                    yield ""
                    yield table
            yield ""


def _grouped(operations: Sequence[OperationRow], part_of: Callable[[OperationRow], str]) -> dict[str, list[Work]]:
    groups: dict[str, list[Work]] = {}
    for row in operations:
        groups.setdefault(part_of(row), []).append(row.work)
    return groups


def _row(change: Change, platform: str) -> dict[str, object]:
    return {
        "before_ms": change.before.times[platform].latency_ms,
        "after_ms": change.after.times[platform].latency_ms,
        "change_ms": change.change_ms(platform),
        "before_flops": change.before.flops,
        "after_flops": change.after.flops,
        "before_params": change.before.params,
        "after_params": change.after.params,
    }


def _in_words(change: Change, platform: str) -> str:
    before_ms, after_ms = (work.times[platform].latency_ms for work in (change.before, change.after))
    percent = f" ({100 * (after_ms / before_ms - 1):+.1f} %)" if before_ms else ""
    return f"{format_ms(before_ms)} → {format_ms(after_ms)} ms{percent}"


def _table(heading: str, changes: Sequence[Change], platform: str) -> Table:
    """Parts that take another time than before."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column(heading, overflow="fold")
    for number in ("ms before", "ms after", "change, ms", "operations"):
        table.add_column(number, justify="right", no_wrap=True)
    for change in changes:
        change_ms = change.change_ms(platform)
        if change_ms:
            table.add_row(
                change.name or "(the network itself)",
                *(format_ms(work.times[platform].latency_ms) for work in (change.before, change.after)),
                f"{'+' if change_ms > 0 else '-'}{format_ms(abs(change_ms))}",
                f"{change.before.operations} → {change.after.operations}",
            )
    return table
