"""Predicted milliseconds in the nodes of an ONNX file, where Netron shows them."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import onnx

from costmodel.errors import DataError
from costmodel.files import replaced
from costmodel.integrations.torch.network_profile import Profile
from costmodel.integrations.torch.rows import OperationRow

__all__ = ["METADATA_KEY", "annotate_onnx"]

logger = logging.getLogger(__name__)

METADATA_KEY = "predicted_latency_ms"
"""Followed by the platform in brackets."""

_SMALLEST_IR_VERSION = 10
"""The first in which nodes have ``metadata_props``."""


def annotate_onnx(profile: Profile, source: str | os.PathLike[str], target: str | os.PathLike[str]) -> int:
    """Write a copy of an ONNX file whose nodes tell their predicted milliseconds in ``metadata_props``.

    An operation that several nodes were fused into counts at the first of them.  Weights outside the file are not
    copied: write the copy into the folder of the file if it has any.

    Args:
        profile: Of that file.
        source: The file.
        target: The copy; a file that is there is replaced.

    Returns:
        How many nodes were annotated.  Nodes without a name of their own cannot be; a warning is logged.

    Raises:
        DataError: No node of the file is in the profile, or a file cannot be read or written.
    """
    source, target = Path(source), Path(target)
    try:
        model = onnx.load(source, load_external_data=False)
        annotated = _annotate(profile, model, source)
        with replaced(target) as partial:
            partial.write_bytes(model.SerializeToString())
    except OSError as error:
        raise DataError(f"cannot write {source} with latencies to {target}: {error.strerror}.") from error
    return annotated


def _annotate(profile: Profile, model: onnx.ModelProto, source: Path) -> int:
    counts = Counter(node.name for node in model.graph.node)
    nodes = {node.name: node for node in model.graph.node if node.name and counts[node.name] == 1}
    placed = [(nodes[name], row) for row in profile.operations if (name := _first_of(row, nodes)) is not None]
    if not placed:
        raise DataError(
            f"no node of {source} is in the profile of {profile.model}: expected a profile of that file, whose nodes "
            "have names. Make one with: profile(file, platform=...)"
        )
    if len(placed) < len(profile.operations):
        logger.warning(
            "%d of %d operations have no node of a name of its own in %s and are not annotated.",
            len(profile.operations) - len(placed),
            len(profile.operations),
            source,
        )
    for node, row in placed:
        _set(node, {platform: time.latency_ms for platform, time in row.work.times.items()})
    _set(model, {platform: prediction.latency_ms for platform, prediction in profile.predictions.items()})
    model.ir_version = max(model.ir_version, _SMALLEST_IR_VERSION)
    return len(placed)


def _first_of(row: OperationRow, names: Iterable[str]) -> str | None:
    return next((source for source in row.sources if source in names), None)


def _set(message: onnx.ModelProto | onnx.NodeProto, latencies_ms: dict[str, float]) -> None:
    """Put latencies into the ``metadata_props`` of a node or a model, in place of those of the same platforms."""
    properties = message.metadata_props
    fresh = {f"{METADATA_KEY}[{platform}]": f"{latency_ms:.6g}" for platform, latency_ms in latencies_ms.items()}
    kept = [(entry.key, entry.value) for entry in properties if entry.key not in fresh]
    del properties[:]
    for key, value in (*kept, *fresh.items()):
        properties.add(key=key, value=value)
