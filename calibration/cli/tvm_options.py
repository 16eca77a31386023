"""What the options of ``--runtime tvm-rpc`` mean."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from pydantic import JsonValue

from costmodel.errors import UsageError

__all__ = ["parse_target", "parse_tracker", "require_device"]

_TRACKER = re.compile(r"(?P<host>[^:\[\]\s]+|\[[^\[\]\s]+\]):(?P<port>\d{1,5})")
_KIND = re.compile(r"\w+")


def require_device(tracker: str | None, key: str | None) -> tuple[str, str]:
    """Tracker and key, neither of which has a default.

    Raises:
        UsageError: One is missing, or both; says how to come by it.
    """
    if tracker and key:
        return tracker, key
    missing = []
    if not tracker:
        missing.append(
            "--tracker HOST:PORT, where a TVM tracker listens (start one with: "
            "python -m tvm.exec.rpc_tracker --host 0.0.0.0 --port 9190)"
        )
    if not key:
        missing.append(
            "--key KEY, which the device's server registers under (start one there with: "
            f"python -m tvm.exec.rpc_server --tracker {tracker or 'HOST:PORT'} --key KEY)"
        )
    raise UsageError(f"--runtime tvm-rpc needs {', and '.join(missing)}.")


def parse_tracker(text: str) -> tuple[str, int]:
    """Host and port, from ``"tracker.lan:9190"``; an IPv6 address stands in brackets.

    Raises:
        UsageError: The text is written otherwise.
    """
    match = _TRACKER.fullmatch(text)
    if match is None or not 0 < int(match["port"]) < 1 << 16:
        raise UsageError(f"cannot read --tracker {text!r}; expected HOST:PORT, e.g. --tracker 192.168.0.10:9190")
    return match["host"].strip("[]"), int(match["port"])


def parse_target(text: str) -> Mapping[str, JsonValue]:
    """A target as TVM writes it, from its JSON or from its kind alone.

    Raises:
        UsageError: The text is neither.
    """
    if _KIND.fullmatch(text):
        return {"kind": text}
    try:
        target = json.loads(text)
    except json.JSONDecodeError:
        target = None
    if not isinstance(target, dict):
        raise UsageError(
            f"cannot read --target {text!r}; expected a kind, such as llvm, or a JSON object, e.g. "
            """--target '{"kind": "llvm", "mtriple": "aarch64-linux-gnu", "mcpu": "cortex-a72"}'"""
        )
    return target
