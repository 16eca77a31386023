"""Collects the edits of one sweep over a graph and applies them together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

from costmodel.graph.op_graph import AttributeValue, Op, OpGraph, Value
from costmodel.graph.passes.matching import Wiring

__all__ = ["Rewriter", "without_trailing_blanks"]


class Rewriter:
    """Edits to a graph, applied in one rebuild so that a sweep stays linear in its size.

    Every question is answered about the graph *before* the edits.  An operation
    that was edited is *taken*: no other edit of the same sweep may touch it.

    Args:
        graph: The graph to edit; left as it is.
    """

    def __init__(self, graph: OpGraph) -> None:
        self.graph = graph
        self.wiring = Wiring(graph)
        self._placed: dict[int, tuple[Op, ...]] = {}
        self._forwarded: dict[str, str] = {}
        self._new_values: dict[str, Value] = {}

    def is_taken(self, op: Op) -> bool:
        """Whether an edit of this sweep already replaced the operation."""
        return self._index[op.name] in self._placed

    def replace(self, old: Iterable[Op], new: Sequence[Op]) -> None:
        """Put ``new`` where the last of ``old`` stood, and remove ``old``."""
        indices = sorted(self._index[op.name] for op in old)
        self._placed.update((index, ()) for index in indices)
        self._placed[indices[-1]] = tuple(new)

    def replace_at_first(self, old: Iterable[Op], new: Op) -> None:
        """Put ``new`` where the first of ``old`` stood, because it makes results for readers in between."""
        indices = sorted(self._index[op.name] for op in old)
        self._placed.update((index, ()) for index in indices)
        self._placed[indices[0]] = (new,)

    def fuse(
        self,
        ops: Iterable[Op],
        op_type: str,
        inputs: Iterable[str],
        attributes: Mapping[str, AttributeValue] | None = None,
        *,
        main: Op | None = None,
    ) -> None:
        """Replace ``ops`` by one operation that stands for all of them and makes the result of the last.

        Args:
            ops: The operations replaced.
            op_type: ONNX operator name of the one that replaces them.
            inputs: What it reads; operands left out at the end are cut off.
            attributes: Its attributes.
            main: The one of ``ops`` whose name and scope it keeps; the last by default.
        """
        chain = sorted(ops, key=lambda op: self._index[op.name])
        kept = main or chain[-1]
        fused = Op(
            name=kept.name,
            op_type=op_type,
            inputs=without_trailing_blanks(inputs),
            outputs=chain[-1].outputs[:1],
            attributes=attributes or {},
            sources=tuple(source for op in chain for source in op.sources),
            scope=kept.scope,
        )
        self.replace(chain, (fused,))

    def remove(self, op: Op) -> None:
        """Remove an operation whose results nobody needs."""
        self.replace((op,), ())

    def forward(self, op: Op, value_name: str) -> None:
        """Remove ``op``; whoever needs its first result gets ``value_name`` instead."""
        self._forwarded[op.outputs[0]] = value_name
        self.remove(op)

    def declare(self, value: Value) -> str:
        """Add a new value, or new facts about an old one, and return its name."""
        self._new_values[value.name] = value
        return value.name

    def turn_into_weights(self, op: Op, values: Iterable[Value]) -> None:
        """Remove ``op``: its results are ``values``, which are known before the run."""
        for value in values:
            self.declare(value)
        self.remove(op)

    def keep_as_weights(self, op: Op, values: Iterable[Value]) -> None:
        """Keep ``op``, but count its results, ``values``, as known before the run."""
        for value in values:
            self.declare(value)
        self.replace((op,), (op,))

    def fresh_name(self, stem: str) -> str:
        """A name that no value and no operation has, ``stem`` itself if it is free."""
        name, count = stem, 1
        while name in self._names or name in self._new_values:
            count += 1
            name = f"{stem}.{count}"
        return name

    def apply(self) -> OpGraph:
        """The edited graph; the graph itself when there was nothing to edit."""
        if not self._placed:
            return self.graph
        ops: list[Op] = []
        for index, op in enumerate(self.graph.ops):
            ops.extend(self._placed.get(index, (op,)))
        if self._forwarded:
            ops = [self._rewired(op) for op in ops]
        outputs = [self._resolved(name) for name in self.graph.outputs]
        return self.graph.replaced(ops, self._new_values.values(), outputs)

    @cached_property
    def _index(self) -> dict[str, int]:
        return {op.name: index for index, op in enumerate(self.graph.ops)}

    @cached_property
    def _names(self) -> set[str]:
        return {*self.graph.values, *self._index}

    def _resolved(self, value_name: str) -> str:
        while value_name in self._forwarded:
            value_name = self._forwarded[value_name]
        return value_name

    def _rewired(self, op: Op) -> Op:
        if self._forwarded.keys().isdisjoint(op.inputs):
            return op
        return replace(op, inputs=tuple(self._resolved(name) for name in op.inputs))


def without_trailing_blanks(names: Iterable[str]) -> tuple[str, ...]:
    """``names`` without the optional operands left out at the end."""
    kept = tuple(names)
    while kept and not kept[-1]:
        kept = kept[:-1]
    return kept
