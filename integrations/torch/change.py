"""What a part of a network did and took before, and after."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from costmodel.integrations.torch.work import Work

__all__ = ["Change", "changes_between"]


@dataclass(frozen=True)
class Change:
    """The same part of two networks.

    Attributes:
        name: Path of a module, or an operator.
        before: What it did in the first network; nothing if it was not there.
        after: The same of the second.
    """

    name: str
    before: Work
    after: Work

    def change_ms(self, platform: str) -> float:
        """How much longer it takes on ``platform``; negative where it is faster."""
        return self.after.times[platform].latency_ms - self.before.times[platform].latency_ms


def changes_between(
    before: Mapping[str, Iterable[Work]], after: Mapping[str, Iterable[Work]], platforms: Sequence[str]
) -> tuple[Change, ...]:
    """The parts of either network, in the order of the first, then what only the second has.

    Args:
        before: What belongs to each part of the first network, by its name.
        after: The same of the second.
        platforms: The platforms that both have times for.
    """
    return tuple(
        Change(name, Work.total(before.get(name, ()), platforms), Work.total(after.get(name, ()), platforms))
        for name in dict.fromkeys([*before, *after])
    )
