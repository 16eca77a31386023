"""TIR → :class:`StatementGraph`.

TVM has no visitors in Python for this, so statements are walked by hand.  Its arrays are sliced before they are walked:
``[:]`` fetches all elements in half of the time that an iterator takes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from tvm import tirx
from tvm.ir import Call
from tvm.ir.expr import TensorLoad
from tvm.s_tir import SBlock, SBlockRealize

from costmodel.errors import UnsupportedModelError
from costmodel.integrations.tvm.candidate.elements import Buffer, Element, accesses_of, compacted
from costmodel.integrations.tvm.candidate.index_reader import IndexReader, constant_of, key_of
from costmodel.integrations.tvm.candidate.statement_graph import (
    Loop,
    LoopKind,
    Operations,
    Statement,
    StatementGraph,
)

__all__ = ["read_candidate"]

_UNROLL_STEPS = "pragma_auto_unroll_max_step"


def read_candidate(module: Any) -> StatementGraph:
    """Read a scheduled module.

    Args:
        module: An ``IRModule`` with one function of TIR, scheduled and postprocessed as a cost model gets it.

    Raises:
        UnsupportedModelError: It has no function of TIR, or several.
    """
    functions = [function for function in module.functions.values() if isinstance(function, tirx.PrimFunc)]
    if len(functions) != 1:
        raise UnsupportedModelError(f"expected a module with one function of TIR, got {len(functions)}.")
    reader = _Reader(functions[0].params)
    reader.read(functions[0].body, _Place())
    return StatementGraph(reader.loops, _statements(reader.stores))


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the program a statement is.

    Attributes:
        loops: Loops around it that run more than once.
        unroll_steps: Limit for unrolling that is in force.
        conditions: Which decide whether it is skipped.
        bound: Variables of the blocks around it.
    """

    loops: tuple[int, ...] = ()
    unroll_steps: int = 0
    conditions: tuple[Any, ...] = ()
    bound: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class _Store:
    """A statement, without what is computed of all statements at once.

    Attributes:
        place: Where it is.
        reduces: See :class:`Statement`.
        decides: See :class:`Statement`.
        operations: See :class:`Statement`.
        divisions: See :class:`Statement`.
        elements: What it reads, in order, then what it writes.
    """

    place: _Place
    reduces: tuple[bool, ...]
    decides: tuple[bool, ...]
    operations: Operations
    divisions: tuple[tuple[int, int], ...]
    elements: Sequence[Element]


class _Reader:
    """Walks statements, the outermost first, and keeps what their variables stand for."""

    def __init__(self, arguments: Sequence[Any]) -> None:
        self.loops: list[Loop] = []
        self.stores: list[_Store] = []
        self._arguments = frozenset(map(key_of, arguments))
        self._buffers: dict[int, Buffer] = {}
        self._loop_of: dict[int, int] = {}
        """Variables of loops that run more than once."""
        self._values: dict[int, Any] = {}
        """Expressions that all other variables stand for; a variable that reduces is in ``_reducing`` too."""
        self._reducing: set[int] = set()

    def read(self, statement: Any, place: _Place) -> None:
        """Add a statement, and all in it, to the graph."""
        reader = _STATEMENTS.get(type(statement))
        if reader is not None:
            reader(self, statement, place)

    def read_sequence(self, sequence: Any, place: _Place) -> None:
        for statement in sequence.seq[:]:
            self.read(statement, place)

    def read_loop(self, loop: Any, place: _Place) -> None:
        extent = constant_of(loop.extent)
        limit = loop.annotations.get(_UNROLL_STEPS) if loop.annotations else None
        steps = place.unroll_steps if limit is None else int(limit)
        if extent is not None and extent <= 1:
            self._values[key_of(loop.loop_var)] = loop.min
            self.read(loop.body, replace(place, unroll_steps=steps))
            return
        number = self._loop_of[key_of(loop.loop_var)] = len(self.loops)
        parent = place.loops[-1] if place.loops else -1
        self.loops.append(Loop(parent, len(place.loops), extent or 1, LoopKind(int(loop.kind)), steps))
        self.read(loop.body, replace(place, loops=(*place.loops, number), unroll_steps=steps))

    def read_realize(self, realize: Any, place: _Place) -> None:
        block = realize.block
        variables = block.iter_vars[:]
        for variable, value in zip(variables, realize.iter_values[:], strict=True):
            self._values[key_of(variable.var)] = value
            if int(variable.iter_type) == tirx.IterVar.CommReduce:
                self._reducing.add(key_of(variable.var))
        conditions = () if constant_of(realize.predicate) == 1 else (realize.predicate,)
        bound = (*place.bound, *(key_of(variable.var) for variable in variables))
        inside = replace(place, conditions=(*place.conditions, *conditions), bound=bound)
        if block.init is not None:
            self.read(block.init, inside)
        self.read(block.body, inside)

    def read_choice(self, choice: Any, place: _Place) -> None:
        inside = replace(place, conditions=(*place.conditions, choice.condition))
        self.read(choice.then_case, inside)
        if choice.else_case is not None:
            self.read(choice.else_case, inside)

    def read_body(self, statement: Any, place: _Place) -> None:
        self.read(statement.body, place)

    def read_store(self, store: Any, place: _Place) -> None:
        operations, loads, conditions = Operations(), list[Any](), [*place.conditions]
        _count(store.value, operations, loads, conditions)
        extents = [self.loops[loop].extent for loop in place.loops]
        ranges = IndexReader(place.loops, extents, self._loop_of, self._values)
        elements = [*((load.source, load.indices) for load in loads), (store.buffer, store.indices)]
        found = [self._element(buffer, indices, ranges) for buffer, indices in elements]
        reduces = self._reduces(place.loops, ranges)
        for variable in place.bound:
            ranges.of_variable(variable)  # what no access asks for is computed all the same
        divisions = tuple(ranges.divisions)
        self.stores.append(_Store(place, reduces, _decided(conditions, ranges), operations, divisions, found))

    def _element(self, variable: Any, indices: Any, ranges: IndexReader) -> Element:
        buffer = self._buffers.get(key_of(variable)) or self._add_buffer(variable)
        return Element(
            buffer,
            [
                (dimension, ranges.of(index).values)
                for dimension, (size, index) in enumerate(zip(buffer.shape, indices[:], strict=True))
                if size > 1
            ],
        )

    def _reduces(self, loops: tuple[int, ...], ranges: IndexReader) -> tuple[bool, ...]:
        moved = np.zeros(len(loops), dtype=bool)
        for variable in ranges.seen & self._reducing:
            moved |= ranges.of_variable(variable).strides != 0
        return tuple(map(bool, moved))

    def _add_buffer(self, variable: Any) -> Buffer:
        # A dimension that is only known later counts as one element.
        shape = tuple(constant_of(size) or 1 for size in variable.shape[:])
        item_bytes = max(int(variable.dtype.bits if hasattr(variable.dtype, "bits") else 32) // 8, 1)
        found = Buffer(len(self._buffers), item_bytes, shape, key_of(variable) in self._arguments)
        self._buffers[key_of(variable)] = found
        return found


def _statements(stores: Sequence[_Store]) -> list[Statement]:
    elements = [element for store in stores for element in store.elements]
    are_stores = [element is store.elements[-1] for store in stores for element in store.elements]
    loops = [store.place.loops for store in stores for _ in store.elements]
    accesses = iter(accesses_of(compacted(elements, loops), are_stores, [len(around) for around in loops]))
    found = []
    for store in stores:
        *read, written = (next(accesses) for _ in store.elements)
        is_update = any(
            access.buffer == written.buffer
            and access.first == written.first
            and (access.strides == written.strides).all()
            for access in read
        )
        found.append(
            Statement(
                store.place.loops,
                store.reduces,
                store.decides,
                store.operations,
                store.divisions,
                (*read, written),
                is_update,
                bool(store.place.conditions),
                store.place.unroll_steps,
            )
        )
    return found


_STATEMENTS: Mapping[type, Callable[[_Reader, Any, _Place], None]] = {
    tirx.SeqStmt: _Reader.read_sequence,
    tirx.For: _Reader.read_loop,
    SBlockRealize: _Reader.read_realize,
    SBlock: _Reader.read_body,
    tirx.IfThenElse: _Reader.read_choice,
    tirx.AttrStmt: _Reader.read_body,
    tirx.BufferStore: _Reader.read_store,
}


# --- What is computed ---

_COUNTED: Mapping[type, str] = {
    tirx.Add: "additions",
    tirx.Sub: "additions",
    tirx.Mul: "products",
    tirx.Div: "divisions",
    tirx.Min: "comparisons",
    tirx.Max: "comparisons",
    tirx.Select: "comparisons",
}
_CHOICE = "prim.if_then_else"


def _count(expression: Any, operations: Operations, loads: list[Any], conditions: list[Any]) -> None:
    """Count what a value takes, and collect the elements that it reads and what its choices depend on."""
    kind = type(expression)
    if kind is TensorLoad:
        loads.append(expression)
        return
    name = _COUNTED.get(kind)
    if name is not None:
        setattr(operations, name, getattr(operations, name) + 1)
    elif kind is Call:
        if expression.op.name == _CHOICE:
            operations.choices += 1
            conditions.append(expression.args[0])
        else:
            operations.functions += 1
        for argument in expression.args[:]:
            _count(argument, operations, loads, conditions)
        return
    for part in _parts(kind, expression):
        _count(part, operations, loads, conditions)


def _parts(kind: type, expression: Any) -> Sequence[Any]:
    if kind is tirx.Select:
        return (expression.condition, expression.true_value, expression.false_value)
    if kind in _COUNTED:
        return (expression.a, expression.b)
    return (expression.value,) if kind is tirx.Cast else ()


# --- What decides whether it is ---

_JOINED = (tirx.And, tirx.Or)
_COMPARED = (tirx.LT, tirx.LE, tirx.GT, tirx.GE, tirx.EQ, tirx.NE)


def _decided(conditions: Sequence[Any], ranges: IndexReader) -> tuple[bool, ...]:
    """Which loops change the outcome of one of the conditions, or may."""
    decides = np.zeros(ranges.loops, dtype=bool)
    left = [*conditions]
    while left:
        condition = left.pop()
        if type(condition) in _JOINED:
            left += [condition.a, condition.b]
        elif type(condition) is tirx.Not:
            left.append(condition.a)
        elif type(condition) in _COMPARED:
            decides |= ranges.of(condition.a).moved_by | ranges.of(condition.b).moved_by
    return tuple(map(bool, decides))
