"""What a predictor answers: a latency with its interval, its parts and its doubts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from costmodel.errors import CostModelError
from costmodel.units import format_count, format_ms, format_percent

__all__ = ["OpPrediction", "Prediction", "PredictionFailure"]


class OpPrediction(NamedTuple):
    """The part of a predicted latency that one operation accounts for.

    Attributes:
        name: Name of the operation in its graph.
        op_type: Operator, with its domain where that is not ONNX's own.
        scope: Path of the module it was written in; may be empty.
        latency_ms: Its part of the network's latency.
        share: The same part as a fraction of the whole, 0 to 1.
        flops: Floating-point operations at the predicted batch.
        params: Learned parameters it reads.
        bytes_read: Bytes of activations and weights it reads.
        bytes_written: Bytes it writes.
        sources: Names of the nodes of the source model that it stands for.
    """

    name: str
    op_type: str
    scope: str
    latency_ms: float
    share: float
    flops: float
    params: float
    bytes_read: float
    bytes_written: float
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Prediction:
    """Latency of one network on one platform.

    Attributes:
        model: The path as it was given, or the name of the network.
        platform: Canonical name of the platform.
        batch: Images per run that the latency is for.
        latency_ms: Time of one run.
        low_ms: Lower end of the 90 % interval.
        high_ms: Upper end of the 90 % interval.
        coverage: Share of the predicted time, 0 to 1, in operators that training has seen.
        warnings: Reasons to trust the figure less; usually empty.
        per_op: Operations that cost time, in the order they run.
    """

    model: str
    platform: str
    batch: int
    latency_ms: float
    low_ms: float
    high_ms: float
    coverage: float
    warnings: tuple[str, ...] = ()
    per_op: tuple[OpPrediction, ...] = field(default=(), repr=False)

    def __str__(self) -> str:
        return self.summary()

    def slowest(self, count: int) -> tuple[OpPrediction, ...]:
        """The ``count`` operations that take longest, slowest first."""
        return tuple(sorted(self.per_op, key=lambda op: op.latency_ms, reverse=True)[:count])

    def summary(self, top: int = 10) -> str:
        """A table for people.

        Args:
            top: How many of the slowest operations to list.
        """
        lines = [
            f"{self.model} on {self.platform}, batch {self.batch}",
            f"  latency   {format_ms(self.latency_ms)} ms "
            f"(90 % interval {format_ms(self.low_ms)} to {format_ms(self.high_ms)} ms)",
            f"  coverage  {format_percent(self.coverage)}",
            *(f"  warning   {warning}" for warning in self.warnings),
        ]
        slowest = self.slowest(top)
        if slowest:
            title = f"Slowest {len(slowest)} of {len(self.per_op)} operations"
            lines += ["", title, *(f"  {line}" for line in _op_lines(slowest))]
        return "\n".join(lines)

    def to_dict(self, top: int | None = None) -> dict[str, object]:
        """The prediction as plain JSON data.

        Args:
            top: How many of the slowest operations go under ``per_op``; ``None`` keeps them all, in running order.
        """
        operations = self.per_op if top is None else self.slowest(top)
        return {
            "model": self.model,
            "platform": self.platform,
            "batch": self.batch,
            "latency_ms": self.latency_ms,
            "low_ms": self.low_ms,
            "high_ms": self.high_ms,
            "coverage": self.coverage,
            "warnings": list(self.warnings),
            "per_op": [{**op._asdict(), "sources": list(op.sources)} for op in operations],
        }


@dataclass(frozen=True)
class PredictionFailure:
    """Stands where a prediction would, for a model that could not be predicted.

    Attributes:
        model: The path as it was given, or the name of the network.
        platform: Canonical name of the platform.
        batch: The batch that was asked for; ``None`` when it was left to the model.
        error: What went wrong.
    """

    model: str
    platform: str
    batch: int | None
    error: CostModelError

    def __str__(self) -> str:
        return f"{self.model} on {self.platform}: {self.error}"

    def to_dict(self) -> dict[str, object]:
        """The failure as plain JSON data."""
        return {
            "model": self.model,
            "platform": self.platform,
            "batch": self.batch,
            "error": str(self.error),
            "warnings": [],
        }


def _op_lines(operations: tuple[OpPrediction, ...]) -> list[str]:
    header = ("ms", "share", "FLOPs", "bytes", "operator", "name")
    rows = [
        (
            format_ms(op.latency_ms),
            format_percent(op.share),
            format_count(op.flops),
            format_count(op.bytes_read + op.bytes_written),
            op.op_type,
            op.scope or op.name,
        )
        for op in operations
    ]
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    return ["  ".join(_padded(row, widths)).rstrip() for row in (header, *rows)]


def _padded(row: tuple[str, ...], widths: list[int]) -> list[str]:
    """Numbers stand on the left and lean right; the two names at the end lean left."""
    return [
        cell.rjust(width) if column < len(row) - 2 else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
