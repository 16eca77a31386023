"""A network as a directed acyclic graph of operations: the one form everything else works on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from math import prod

import numpy as np
from numpy.typing import NDArray

from costmodel.errors import GraphError
from costmodel.graph.dtypes import DType

__all__ = ["MAX_KEPT_ELEMENTS", "AttributeValue", "Op", "OpGraph", "Value", "ValueKind"]

MAX_KEPT_ELEMENTS = 1024
"""Tensors up to this many elements are known by value, larger ones by shape; see :attr:`Value.data`."""

AttributeValue = int | float | str | tuple[int, ...] | tuple[float, ...] | tuple[str, ...]


class ValueKind(StrEnum):
    """Where a tensor comes from."""

    INPUT = "input"
    """Fed by the caller at every run."""
    WEIGHT = "weight"
    """Known before the run: a parameter, a buffer, a literal, or what an operation makes of nothing but these."""
    ACTIVATION = "activation"
    """Made by an operation of the graph."""


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor that flows along the edges of an :class:`OpGraph`.

    Attributes:
        name: Unique in its graph.
        dtype: Element type.
        shape: Concrete sizes, ``()`` for a scalar, ``None`` when nothing could infer them.
        kind: Where the tensor comes from.
        data: The elements, kept only for small weights that decide shapes (at most :data:`MAX_KEPT_ELEMENTS`).
    """

    name: str
    dtype: DType
    shape: tuple[int, ...] | None
    kind: ValueKind = ValueKind.ACTIVATION
    data: NDArray[np.generic] | None = field(default=None, compare=False)

    @property
    def size(self) -> int:
        """Number of elements; 0 when the shape is unknown."""
        return prod(self.shape) if self.shape is not None else 0

    @property
    def nbytes(self) -> float:
        """Bytes the elements occupy; 0 when the shape is unknown."""
        return self.size * self.dtype.itemsize

    @property
    def is_weight(self) -> bool:
        """Whether the tensor is known before the run."""
        return self.kind is ValueKind.WEIGHT


@dataclass(frozen=True, slots=True)
class Op:
    """One operation, named and wired as the ONNX operator of the same name.

    Attributes:
        name: Unique in its graph.
        op_type: ONNX operator name, e.g. ``"Conv"``.
        inputs: Value names in the operator's own order; ``""`` where an optional input is left out.
        outputs: Value names in the operator's own order.
        attributes: ONNX attributes that are plain numbers, strings or tuples of them.
        domain: Operator domain; ``""`` is ONNX itself.
        sources: Names of the nodes of the source model that this operation stands for.
        scope: Path of the module the operation was written in, e.g. ``"layer1.0.conv1"``; may be empty.
    """

    name: str
    op_type: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    domain: str = ""
    sources: tuple[str, ...] = ()
    scope: str = ""

    @property
    def qualified_type(self) -> str:
        """``op_type`` with its domain in front when that is not ONNX's own."""
        return f"{self.domain}::{self.op_type}" if self.domain else self.op_type

    def attr_ints(self, name: str, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """The attribute ``name`` as a tuple of integers; ``default`` when absent or of another type."""
        value = self.attributes.get(name)
        if isinstance(value, int):
            return (value,)
        if isinstance(value, tuple) and all(isinstance(item, int) for item in value):
            return tuple(int(item) for item in value)
        return default

    def attr_int(self, name: str, default: int) -> int:
        """The attribute ``name`` as an integer; ``default`` when absent or of another type."""
        value = self.attributes.get(name, default)
        return value if isinstance(value, int) else default


class OpGraph:
    """An immutable DAG of operations over named tensors.

    ``ops`` are kept in a topological order: an operation stands after everything
    it reads from.  The order given is kept where it already is topological.

    Args:
        ops: The operations.
        values: Every tensor the operations read or write, and the graph's inputs.
        inputs: Names of the tensors that the caller feeds.
        outputs: Names of the tensors that the caller gets back.
        name: Free text, shown to people.

    Raises:
        GraphError: Two operations share a name or write the same tensor, an
            operation reads a tensor that nothing makes, or the graph has a cycle.
    """

    def __init__(
        self,
        ops: Iterable[Op],
        values: Iterable[Value],
        inputs: Iterable[str],
        outputs: Iterable[str],
        name: str = "",
    ) -> None:
        self.name = name
        self.values: dict[str, Value] = {value.name: value for value in values}
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self.ops: tuple[Op, ...] = tuple(_topological(tuple(ops), self.values))
        for role, names in (("input", self.inputs), ("output", self.outputs)):
            for value_name in names:
                if value_name not in self.values:
                    raise GraphError(f"graph {name!r}: the {role} {value_name!r} is not among the graph's values.")

    def __len__(self) -> int:
        return len(self.ops)

    def __iter__(self) -> Iterator[Op]:
        return iter(self.ops)

    def __repr__(self) -> str:
        return f"OpGraph({self.name!r}, {len(self.ops)} ops, inputs={[self.values[n] for n in self.inputs]})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, OpGraph):
            return NotImplemented
        return (
            self.ops == other.ops
            and self.values == other.values
            and self.inputs == other.inputs
            and self.outputs == other.outputs
        )

    __hash__ = None  # type: ignore[assignment]  # holds dictionaries

    @cached_property
    def producers(self) -> dict[str, int]:
        """Index in ``ops`` of the operation that makes each activation."""
        return {output: index for index, op in enumerate(self.ops) for output in op.outputs if output}

    @cached_property
    def consumers(self) -> dict[str, tuple[int, ...]]:
        """Indices in ``ops`` of the operations that read each value, each once, in order."""
        readers: dict[str, list[int]] = {}
        for index, op in enumerate(self.ops):
            for value_name in dict.fromkeys(op.inputs):
                if value_name:
                    readers.setdefault(value_name, []).append(index)
        return {value_name: tuple(indices) for value_name, indices in readers.items()}

    @cached_property
    def edges(self) -> NDArray[np.int64]:
        """``(edges, 2)`` pairs (producer, consumer) of indices in ``ops``, each pair once, sorted."""
        pairs = {
            (self.producers[value_name], index)
            for index, op in enumerate(self.ops)
            for value_name in op.inputs
            if value_name in self.producers
        }
        return np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2)

    @property
    def batch(self) -> int:
        """Leading dimension of the first input that has one; 1 when no input has."""
        for value_name in self.inputs:
            shape = self.values[value_name].shape
            if shape:
                return max(shape[0], 1)
        return 1

    def operands(self, op: Op) -> tuple[Value | None, ...]:
        """The values ``op`` reads, ``None`` where an optional input is left out."""
        return tuple(self.values[name] if name else None for name in op.inputs)

    def results(self, op: Op) -> tuple[Value, ...]:
        """The values ``op`` makes; optional outputs left out are skipped."""
        return tuple(self.values[name] for name in op.outputs if name)

    def replaced(
        self,
        ops: Iterable[Op],
        values: Iterable[Value] = (),
        outputs: Iterable[str] | None = None,
    ) -> OpGraph:
        """A copy with other operations: ``values`` are added, values nothing mentions any more are dropped."""
        new_ops = tuple(ops)
        new_outputs = self.outputs if outputs is None else tuple(outputs)
        pool = {**self.values, **{value.name: value for value in values}}
        used = {*self.inputs, *new_outputs}
        for op in new_ops:
            used.update(op.inputs)
            used.update(op.outputs)
        used.discard("")
        kept = [value for value_name, value in pool.items() if value_name in used]
        return OpGraph(new_ops, kept, self.inputs, new_outputs, self.name)

    def renamed(self, name: str) -> OpGraph:
        """The same graph under another ``name``."""
        return OpGraph(self.ops, self.values.values(), self.inputs, self.outputs, name)


def _topological(ops: tuple[Op, ...], values: Mapping[str, Value]) -> list[Op]:
    producer: dict[str, int] = {}
    names: set[str] = set()
    for index, op in enumerate(ops):
        if op.name in names:
            raise GraphError(f"two operations are called {op.name!r}; operation names must be unique.")
        names.add(op.name)
        for output in op.outputs:
            if output in producer:
                raise GraphError(
                    f"the tensor {output!r} is written by both {ops[producer[output]].name!r} and {op.name!r}."
                )
            if output:
                if output not in values:
                    raise GraphError(f"operation {op.name!r} writes {output!r}, which is not among the graph's values.")
                producer[output] = index
    in_order = True
    for index, op in enumerate(ops):
        for value_name in op.inputs:
            source = producer.get(value_name)
            if source is not None:
                in_order &= source < index
            elif value_name and (value_name not in values or values[value_name].kind is ValueKind.ACTIVATION):
                raise GraphError(f"operation {op.name!r} reads {value_name!r}, which no operation or input provides.")
    return list(ops) if in_order else _sorted(ops, producer)


def _sorted(ops: tuple[Op, ...], producer: Mapping[str, int]) -> list[Op]:
    waiting: list[int] = [0] * len(ops)
    readers: list[list[int]] = [[] for _ in ops]
    for index, op in enumerate(ops):
        for value_name in dict.fromkeys(op.inputs):
            if value_name in producer:
                waiting[index] += 1
                readers[producer[value_name]].append(index)
    ready = [index for index, count in enumerate(waiting) if count == 0]
    order: list[Op] = []
    while ready:
        index = ready.pop()
        order.append(ops[index])
        for reader in reversed(readers[index]):
            waiting[reader] -= 1
            if waiting[reader] == 0:
                ready.append(reader)
    if len(order) < len(ops):
        stuck = next(ops[index].name for index, count in enumerate(waiting) if count > 0)
        raise GraphError(f"the graph has a cycle through operation {stuck!r}; a network must be acyclic.")
    return order
