"""One spelling for cutting a tensor into parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from costmodel.graph.op_graph import Op, OpGraph
from costmodel.graph.passes.base import Pass
from costmodel.graph.passes.matching import Wiring
from costmodel.graph.passes.rewriting import Rewriter

__all__ = ["CanonicalSplit"]


class CanonicalSplit(Pass):
    """Write slices that together make up a tensor as one ``Split``.

    1. ``a = Slice(x) {starts: 0, ends: 2}; b = Slice(x) {starts: 2, ends: 8}``, of 8 →
       ``a, b = Split(x) {split: (2, 6)}``
    """

    def run(self, graph: OpGraph) -> OpGraph:
        """See :meth:`Pass.run`."""
        edits = Rewriter(graph)
        parts: dict[tuple[str, int], list[_Part]] = {}
        for op in graph.ops:
            part = _part(op, edits.wiring)
            if part is not None:
                parts.setdefault((op.inputs[0], part.axis), []).append(part)
        for (source, axis), cuts in parts.items():
            size = (edits.wiring.shape(source) or ())[axis]
            cuts.sort(key=lambda part: part.start)
            if len(cuts) > 1 and _make_up(size, cuts) and not any(edits.is_taken(part.op) for part in cuts):
                _split(source, axis, cuts, edits)
        return edits.apply()


class _Part(NamedTuple):
    """A ``Slice`` of consecutive elements along one axis."""

    axis: int
    start: int
    end: int
    op: Op


def _part(op: Op, wiring: Wiring) -> _Part | None:
    if op.op_type != "Slice" or op.domain or len(op.inputs) != 1:
        return None
    shape, axes, starts = wiring.shape(op.inputs[0]), op.attr_ints("axes") or (0,), op.attr_ints("starts")
    result = wiring.shape(op.outputs[0])
    if (
        not shape
        or result is None
        or len(result) != len(shape)
        or len(starts) != 1
        or len(axes) != 1
        or set(op.attr_ints("steps")) - {1}
    ):
        return None
    axis = axes[0] % len(shape)
    start = starts[0] + shape[axis] if starts[0] < 0 else starts[0]
    return _Part(axis, start, start + result[axis], op)


def _make_up(size: int, cuts: Sequence[_Part]) -> bool:
    """Whether the parts, sorted, cover 0 to ``size`` and nothing twice."""
    return [part.start for part in cuts] == [0, *(part.end for part in cuts[:-1])] and cuts[-1].end == size


def _split(source: str, axis: int, cuts: Sequence[_Part], edits: Rewriter) -> None:
    slices = [part.op for part in cuts]
    split = Op(
        name=slices[0].name,
        op_type="Split",
        inputs=(source,),
        outputs=tuple(op.outputs[0] for op in slices),
        attributes={"axis": axis, "split": tuple(part.end - part.start for part in cuts)},
        sources=tuple(source for op in slices for source in op.sources),
        scope=slices[0].scope,
    )
    edits.replace_at_first(slices, split)
