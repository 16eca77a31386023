"""One spelling for every operation that only renames sizes."""

from __future__ import annotations

from collections.abc import Callable

from costmodel.graph.op_graph import Op, OpGraph
from costmodel.graph.passes.base import Pass
from costmodel.graph.passes.matching import Wiring
from costmodel.graph.passes.rewriting import Rewriter

__all__ = ["CanonicalReshape"]


class CanonicalReshape(Pass):
    """Write every operation that keeps the elements in place as one ``Reshape`` without attributes.

    The shape of the result says all there is to know.  A chain of them becomes one.

    1. ``Flatten(x)``, ``Squeeze(x)``, ``Unsqueeze(x)`` → ``Reshape(x)``
    2. ``Transpose(x)`` from (1, 8, 1, 3) to (1, 1, 8, 3) → ``Reshape(x)``
    3. ``ReduceMean(x)`` over axes of size 1 that are dropped → ``Reshape(x)``
    4. ``Reshape(Reshape(x))`` → ``Reshape(x)``, also when the inner one has other readers, who keep it
    """

    def run(self, graph: OpGraph) -> OpGraph:
        """See :meth:`Pass.run`."""
        edits = Rewriter(graph)
        views = [op for op in graph.ops if _is_view(op, edits.wiring)]
        origins: dict[str, str] = {}
        for op in views:
            origins[op.outputs[0]] = origins.get(op.inputs[0], op.inputs[0])
        for op in reversed(views):
            if not edits.is_taken(op):
                _merge_chain(op, origins, edits)
        return edits.apply()


def _merge_chain(last: Op, origins: dict[str, str], edits: Rewriter) -> None:
    origin = origins[last.outputs[0]]
    if origin == last.inputs[0] and _is_canonical(last):
        return
    merged = [last]
    while merged[-1].inputs[0] in origins and edits.wiring.sole_reader(merged[-1].inputs[0]) is not None:
        inner = edits.wiring.producer(merged[-1].inputs[0])
        assert inner is not None  # it is one of the views
        merged.append(inner)
    edits.fuse(merged, "Reshape", (origin,))


def _is_canonical(op: Op) -> bool:
    return op.op_type == "Reshape" and len(op.inputs) == 1 and not op.attributes


def _is_view(op: Op, wiring: Wiring) -> bool:
    test = _VIEWS.get(op.op_type)
    return (
        test is not None
        and not op.domain
        and all(wiring.is_weight(name) for name in op.inputs[1:] if name)
        and wiring.shape(op.outputs[0]) is not None
        and not any(op.outputs[1:])
        and test(op, wiring)
    )


def _always(_op: Op, _wiring: Wiring) -> bool:
    return True


def _moves_unit_axes_only(op: Op, wiring: Wiring) -> bool:
    shape, perm = wiring.shape(op.inputs[0]), wiring.permutation(op)
    if shape is None or perm is None:
        return False
    moved = [axis for axis in perm if shape[axis] != 1]
    return moved == sorted(moved)


def _keeps_size(op: Op, wiring: Wiring) -> bool:
    before, after = (wiring.graph.values[name] for name in (op.inputs[0], op.outputs[0]))
    return before.shape is not None and before.size == after.size and before.dtype == after.dtype


_VIEWS: dict[str, Callable[[Op, Wiring], bool]] = {
    **dict.fromkeys(("Flatten", "Reshape", "Squeeze", "Unsqueeze"), _always),
    "Transpose": _moves_unit_axes_only,
    **dict.fromkeys(("Expand", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum"), _keeps_size),
}
