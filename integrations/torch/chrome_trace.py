"""The predicted timeline in the format of ``chrome://tracing`` and Perfetto.

Times stand in microseconds, as the format wants it:
https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from costmodel.integrations.torch.rows import OperationRow

__all__ = ["chrome_trace"]

_US_PER_MS = 1e3

_Event = dict[str, object]


def chrome_trace(operations: Sequence[OperationRow], platforms: Sequence[str]) -> str:
    """A JSON document with a process for each platform, in which operations run one after the other.

    Above the operations stand the modules that they were written in, each as long as it is at work without a break.

    Args:
        operations: In the order they run.
        platforms: The platforms that they have times for.
    """
    events = [event for number, name in enumerate(platforms) for event in _process(number, name, operations)]
    return json.dumps({"displayTimeUnit": "ms", "traceEvents": events}, allow_nan=False)


def _process(number: int, platform: str, operations: Sequence[OperationRow]) -> Iterator[_Event]:
    yield {"ph": "M", "name": "process_name", "pid": number, "tid": 0, "args": {"name": f"{platform} (predicted)"}}
    place = {"pid": number, "tid": 0}
    entered: list[str] = []
    now_us = 0.0
    for operation in operations:
        wanted = _modules_around(operation.module)
        shared = sum(1 for left, right in zip(entered, wanted, strict=False) if left == right)
        yield from ({"ph": "E", "ts": now_us, **place} for _ in entered[shared:])
        yield from ({"ph": "B", "name": path, "cat": "module", "ts": now_us, **place} for path in wanted[shared:])
        entered = wanted
        time = operation.work.times[platform]
        duration_us = time.latency_ms * _US_PER_MS
        yield {
            "ph": "X",
            "name": operation.op_type,
            "cat": "operation",
            "ts": now_us,
            "dur": duration_us,
            **place,
            "args": {
                "operation": operation.name,
                "bound": str(time.bound),
                "flops": operation.work.flops,
                "bytes_moved": operation.work.bytes_moved,
            },
        }
        now_us += duration_us
    yield from ({"ph": "E", "ts": now_us, **place} for _ in entered)


def _modules_around(path: str) -> list[str]:
    """``layer1.0`` is in ``layer1``, then in itself."""
    names = path.split(".") if path else []
    return [".".join(names[: depth + 1]) for depth in range(len(names))]
