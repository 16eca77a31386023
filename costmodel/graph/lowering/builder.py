"""Where the lowerings of one graph put their values and operations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from costmodel.graph.dtypes import DType
from costmodel.graph.op_graph import MAX_KEPT_ELEMENTS, AttributeValue, Op, OpGraph, Value, ValueKind

__all__ = ["GraphBuilder"]


class GraphBuilder:
    """A growing :class:`~costmodel.graph.OpGraph`: operations are appended, values are named once."""

    def __init__(self) -> None:
        self._values: dict[str, Value] = {}
        self._ops: list[Op] = []

    def add_value(
        self,
        name: str,
        shape: Sequence[int],
        dtype: DType,
        kind: ValueKind,
        data: NDArray[np.generic] | None = None,
    ) -> str:
        """Register a tensor and return its ``name``; a name that is known already is left as it is."""
        if data is not None and data.size > MAX_KEPT_ELEMENTS:
            data = None
        self._values.setdefault(name, Value(name, dtype, tuple(shape), kind, data))
        return name

    def add_op(
        self,
        op_type: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        attributes: Mapping[str, AttributeValue],
        *,
        domain: str = "",
        source: str = "",
        scope: str = "",
    ) -> None:
        """Append an operation, named after the first tensor that it makes."""
        name = next(output for output in outputs if output)
        self._ops.append(
            Op(name, op_type, _trimmed(inputs), _trimmed(outputs), dict(attributes), domain, (source,), scope)
        )

    def value(self, name: str) -> Value:
        """The tensor called ``name``."""
        return self._values[name]

    def shape(self, name: str) -> tuple[int, ...]:
        """Sizes of the tensor called ``name``."""
        return self._values[name].shape or ()

    def finish(self, inputs: Iterable[str], outputs: Iterable[str], name: str) -> OpGraph:
        """The graph of everything that ``outputs`` depend on; operations computed for nobody are left out."""
        inputs, outputs = tuple(inputs), tuple(outputs)
        needed = set(outputs)
        live: list[Op] = []
        for op in reversed(self._ops):
            if needed.intersection(op.outputs):
                live.append(op)
                needed.update(op.inputs)
                needed.update(op.outputs)
        needed.update(inputs)
        values = [value for value in self._values.values() if value.name in needed]
        return OpGraph(reversed(live), values, inputs, outputs, name)


def _trimmed(names: Sequence[str]) -> tuple[str, ...]:
    """``names`` without the empty ones at the end, as ONNX writes optional operands."""
    last = len(names)
    while last and not names[last - 1]:
        last -= 1
    return tuple(names[:last])
