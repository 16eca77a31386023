"""Questions that a pass asks about the neighbourhood of an operation."""

from __future__ import annotations

from costmodel.graph.op_graph import Op, OpGraph

__all__ = ["Wiring"]


class Wiring:
    """Who makes and who reads each value of a graph.

    Operators are looked for in ONNX's own domain only: an operator of the same
    name in another domain may mean something else.

    Args:
        graph: The graph asked about.
    """

    def __init__(self, graph: OpGraph) -> None:
        self.graph = graph
        self._outputs = frozenset(graph.outputs)

    def producer(self, value_name: str, *op_types: str) -> Op | None:
        """The operation whose *first* result is the value, if it is one of ``op_types`` (none given: any)."""
        index = self.graph.producers.get(value_name)
        if index is None:
            return None
        op = self.graph.ops[index]
        if (op_types and op.op_type not in op_types) or op.domain or op.outputs[0] != value_name:
            return None
        return op

    def readers(self, value_name: str) -> tuple[Op, ...]:
        """The operations that read the value."""
        return tuple(self.graph.ops[index] for index in self.graph.consumers.get(value_name, ()))

    def sole_reader(self, value_name: str) -> Op | None:
        """The only operation that needs the value; ``None`` if several do, or the caller of the graph does."""
        if value_name in self._outputs:
            return None
        indices = self.graph.consumers.get(value_name, ())
        return self.graph.ops[indices[0]] if len(indices) == 1 else None

    def is_needed(self, value_name: str) -> bool:
        """Whether an operation or the caller of the graph needs the value."""
        return value_name in self.graph.consumers or value_name in self._outputs

    def is_private(self, value_name: str, ops: tuple[Op, ...]) -> bool:
        """Whether nothing but ``ops`` needs the value."""
        return value_name not in self._outputs and all(reader in ops for reader in self.readers(value_name))

    def is_weight(self, value_name: str) -> bool:
        """Whether the value is known before the run."""
        return bool(value_name) and self.graph.values[value_name].is_weight

    def is_scalar(self, value_name: str) -> bool:
        """Whether the value is a weight of one element."""
        return self.is_weight(value_name) and self.graph.values[value_name].size == 1

    def number(self, value_name: str) -> float | None:
        """The only element of a numeric weight; ``None`` if it has several or its data was not kept."""
        data = self.graph.values[value_name].data if value_name else None
        return float(data.item()) if data is not None and data.size == 1 and data.dtype.kind in "biuf" else None

    def integers(self, value_name: str) -> tuple[int, ...] | None:
        """The elements of an integer weight; ``None`` if its data was not kept."""
        data = self.graph.values[value_name].data if value_name else None
        return tuple(int(item) for item in data.flat) if data is not None and data.dtype.kind in "iu" else None

    def shape(self, value_name: str) -> tuple[int, ...] | None:
        """Sizes of the value; ``None`` when unknown or when the operand is left out."""
        return self.graph.values[value_name].shape if value_name else None

    def permutation(self, transpose: Op) -> tuple[int, ...] | None:
        """The order in which a ``Transpose`` puts the axes; ``None`` when it fits no known shape."""
        shape = self.shape(transpose.inputs[0])
        if shape is None:
            return None
        in_order = tuple(range(len(shape)))
        perm = transpose.attr_ints("perm") or in_order[::-1]
        return perm if tuple(sorted(perm)) == in_order else None

    def reduced_axes(self, op: Op) -> tuple[int, ...] | None:
        """Axes that a reduction reduces, sorted and not negative; ``None`` when they are not known."""
        shape = self.shape(op.inputs[0])
        if shape is None:
            return None
        axes = op.attr_ints("axes") or None
        if axes is None and len(op.inputs) > 1 and op.inputs[1]:
            axes = self.integers(op.inputs[1])
            if axes is None:
                return None
        if not axes:
            return () if op.attr_int("noop_with_empty_axes", 0) else tuple(range(len(shape)))
        return tuple(sorted(axis % len(shape) for axis in axes)) if shape else ()
