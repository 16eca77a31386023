"""A profile: latency on each platform, by module, by operator and by operation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from costmodel.cli.output import Report, as_csv, as_json, as_text
from costmodel.errors import UnknownNameError
from costmodel.integrations.torch import profile_tables
from costmodel.integrations.torch.chrome_trace import chrome_trace
from costmodel.integrations.torch.module_tree import module_tree
from costmodel.integrations.torch.rows import ModuleRow, OperationRow, OperatorRow
from costmodel.integrations.torch.work import Work
from costmodel.prediction import Prediction

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["Profile"]

_COLUMNS = (
    "platform",
    "name",
    "op_type",
    "module",
    "latency_ms",
    "share",
    "bound",
    "compute_ms",
    "memory_ms",
    "overhead_ms",
    "flops",
    "params",
    "bytes_moved",
    "intensity",
)


class Profile(Report):
    """What :func:`~costmodel.integrations.torch.profile` found; printed, it is a table.

    Times of operations are rounded to steps far below what matters, so that sums over modules, operators and operations
    are exactly the same.

    Args:
        predictions: One for each platform, of the same network.
        operations: Its operations, in the order they run, with a time on each of those platforms.
    """

    def __init__(self, predictions: Sequence[Prediction], operations: Iterable[OperationRow]) -> None:
        self.predictions = {prediction.platform: prediction for prediction in predictions}
        self.operations = tuple(operations)

    def __str__(self) -> str:
        return as_text(self)

    @property
    def model(self) -> str:
        """Name of the network."""
        return next(iter(self.predictions.values())).model

    @property
    def batch(self) -> int:
        """Images per run."""
        return next(iter(self.predictions.values())).batch

    @property
    def platforms(self) -> tuple[str, ...]:
        """Canonical names; where a method's platform is left out, it is the first."""
        return tuple(self.predictions)

    @cached_property
    def total(self) -> Work:
        """The whole network."""
        return Work.total((operation.work for operation in self.operations), self.platforms)

    @cached_property
    def _modules(self) -> ModuleRow:
        return module_tree(self.operations, self.platforms)

    def by_module(self) -> ModuleRow:
        """The network as a module, with those in it."""
        return self._modules

    def by_operator(self, platform: str | None = None) -> tuple[OperatorRow, ...]:
        """A row for each operator, the one that takes longest on ``platform`` first.

        Raises:
            UnknownNameError: The profile has no such platform.
        """
        name = self._named(platform)
        groups: dict[str, list[Work]] = {}
        for operation in self.operations:
            groups.setdefault(operation.op_type, []).append(operation.work)
        rows = (OperatorRow(op_type, Work.total(works, self.platforms)) for op_type, works in groups.items())
        return tuple(sorted(rows, key=lambda row: row.work.times[name].latency_ms, reverse=True))

    def top(self, count: int = 10, platform: str | None = None) -> tuple[OperationRow, ...]:
        """The ``count`` operations that take longest on ``platform``, slowest first.

        Raises:
            UnknownNameError: The profile has no such platform.
        """
        name = self._named(platform)
        slowest = sorted(self.operations, key=lambda row: row.work.times[name].latency_ms, reverse=True)
        return tuple(slowest[:count])

    def share(self, work: Work, platform: str | None = None) -> float:
        """Which part of the network's time, 0 to 1, ``work`` takes on ``platform``.

        Raises:
            UnknownNameError: The profile has no such platform.
        """
        name = self._named(platform)
        total_ms = self.total.times[name].latency_ms
        return work.times[name].latency_ms / total_ms if total_ms else 0.0

    def _named(self, platform: str | None) -> str:
        if platform is None:
            return self.platforms[0]
        if platform not in self.predictions:
            raise UnknownNameError("platform of this profile", platform, self.platforms)
        return platform

    # ---- export --------------------------------------------------------------------------------------------------

    def to_json(self) -> str:
        """The profile as a JSON document."""
        return as_json(self)

    def to_csv(self) -> str:
        """A line for each platform and operation."""
        return as_csv(self)

    def to_chrome_trace(self) -> str:
        """The predicted timeline as a JSON document for ``chrome://tracing`` and https://ui.perfetto.dev."""
        return chrome_trace(self.operations, self.platforms)

    def to_html(self) -> str:
        """One page that needs nothing else: bars by module, rooflines, a table to search in."""
        from costmodel.integrations.torch.report import page_of

        return page_of(self)

    def document(self) -> dict[str, object]:
        """Latencies, modules, operators and operations."""
        return {
            "model": self.model,
            "batch": self.batch,
            "platforms": [
                {"platform": name, **{key: value for key, value in prediction.to_dict(top=0).items() if key in _ANSWER}}
                for name, prediction in self.predictions.items()
            ],
            "total": self._work(self.total),
            "modules": [{"path": row.path, **self._work(row.work)} for row in self._modules.walk()],
            "operators": [{"op_type": row.op_type, **self._work(row.work)} for row in self.by_operator()],
            "operations": [
                {
                    "name": row.name,
                    "op_type": row.op_type,
                    "module": row.module,
                    "sources": list(row.sources),
                    **self._work(row.work),
                }
                for row in self.operations
            ],
        }

    def columns(self) -> Sequence[str]:
        """What there is to say of an operation on a platform."""
        return _COLUMNS

    def rows(self) -> Iterator[dict[str, object]]:
        """A row for each platform and operation."""
        for platform in self.platforms:
            for row in self.operations:
                fields = {"platform": platform, "name": row.name, "op_type": row.op_type, "module": row.module}
                yield {**fields, **_counts(row.work), **self._time(row.work, platform)}

    def tables(self) -> Iterator[RenderableType]:
        """Latencies, then modules, operators and the slowest operations."""
        return profile_tables.tables(self)

    def _work(self, work: Work) -> dict[str, object]:
        return {
            "operations": work.operations,
            **_counts(work),
            "times": {platform: self._time(work, platform) for platform in self.platforms},
        }

    def _time(self, work: Work, platform: str) -> dict[str, object]:
        time = work.times[platform]
        return {
            "latency_ms": time.latency_ms,
            "share": self.share(work, platform),
            "bound": str(time.bound),
            "compute_ms": time.compute_ms,
            "memory_ms": time.memory_ms,
            "overhead_ms": time.overhead_ms,
        }


_ANSWER = ("latency_ms", "low_ms", "high_ms", "coverage", "warnings")


def _counts(work: Work) -> dict[str, object]:
    return {
        "flops": work.flops,
        "params": work.params,
        "bytes_moved": work.bytes_moved,
        "intensity": work.intensity,
    }
