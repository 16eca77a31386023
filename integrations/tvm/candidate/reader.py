"""TIR → :class:`StatementGraph`.  TVM has no visitors in Python for this, so statements are walked by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float
from tvm import tirx
from tvm.ir import Call, Var
from tvm.ir.expr import TensorLoad
from tvm.s_tir import SBlock, SBlockRealize

from costmodel.errors import UnsupportedModelError
from costmodel.integrations.tvm.candidate.index_ranges import IndexRanges
from costmodel.integrations.tvm.candidate.statement_graph import (
    Access,
    Loop,
    LoopKind,
    Operations,
    Statement,
    StatementGraph,
)

__all__ = ["read_candidate"]

_LINE_BYTES = 64
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
    return reader.graph


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the program a statement is.

    Attributes:
        loops: Loops around it that run more than once.
        unroll_steps: Limit for unrolling that is in force.
        has_condition: Whether it is skipped now and then.
        bound: Variables of the blocks around it.
    """

    loops: tuple[int, ...] = ()
    unroll_steps: int = 0
    has_condition: bool = False
    bound: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class _Buffer:
    number: int
    item_bytes: int
    shape: tuple[int, ...]
    is_argument: bool


class _Reader:
    """Walks statements, the outermost first, and keeps what their variables stand for."""

    def __init__(self, arguments: Sequence[Any]) -> None:
        self.graph = StatementGraph()
        self._arguments = frozenset(arguments)
        self._buffers: dict[Any, _Buffer] = {}
        self._loops: dict[Any, int] = {}
        """Variables of loops that run more than once."""
        self._values: dict[Any, Any] = {}
        """Expressions that all other variables stand for; a variable that reduces is in ``_reducing`` too."""
        self._reducing: set[Any] = set()

    def read(self, statement: Any, place: _Place) -> None:
        """Add a statement, and all in it, to the graph."""
        reader = _STATEMENTS.get(type(statement))
        if reader is not None:
            reader(self, statement, place)

    def read_sequence(self, sequence: Any, place: _Place) -> None:
        for statement in sequence.seq:
            self.read(statement, place)

    def read_loop(self, loop: Any, place: _Place) -> None:
        extent = _number(loop.extent)
        limit = loop.annotations.get(_UNROLL_STEPS) if loop.annotations else None
        steps = place.unroll_steps if limit is None else int(limit)
        if extent is not None and extent <= 1:
            self._values[loop.loop_var] = loop.min
            self.read(loop.body, replace(place, unroll_steps=steps))
            return
        self._loops[loop.loop_var] = len(self.graph.loops)
        parent = place.loops[-1] if place.loops else -1
        self.graph.loops.append(Loop(parent, len(place.loops), extent or 1, LoopKind(int(loop.kind)), steps))
        self.read(loop.body, replace(place, loops=(*place.loops, len(self.graph.loops) - 1), unroll_steps=steps))

    def read_realize(self, realize: Any, place: _Place) -> None:
        block = realize.block
        for variable, value in zip(block.iter_vars, realize.iter_values, strict=True):
            self._values[variable.var] = value
            if int(variable.iter_type) == tirx.IterVar.CommReduce:
                self._reducing.add(variable.var)
        condition = _number(realize.predicate) != 1
        bound = (*place.bound, *(variable.var for variable in block.iter_vars))
        inside = replace(place, has_condition=place.has_condition or condition, bound=bound)
        if block.init is not None:
            self.read(block.init, inside)
        self.read(block.body, inside)

    def read_choice(self, choice: Any, place: _Place) -> None:
        inside = replace(place, has_condition=True)
        self.read(choice.then_case, inside)
        if choice.else_case is not None:
            self.read(choice.else_case, inside)

    def read_body(self, statement: Any, place: _Place) -> None:
        self.read(statement.body, place)

    def read_store(self, store: Any, place: _Place) -> None:
        operations, loads = Operations(), list[Any]()
        _count(store.value, operations, loads)
        extents = [self.graph.loops[loop].extent for loop in place.loops]
        ranges = _Ranges(place.loops, extents, self._loops, self._values)
        read = [self._access(load.source, load.indices, ranges, is_store=False) for load in loads]
        written = self._access(store.buffer, store.indices, ranges, is_store=True)
        reduces = self._reduces(place.loops, ranges)
        for variable in place.bound:
            ranges.of(variable)  # what no access asks for is computed all the same
        is_update = any(
            access.buffer == written.buffer
            and access.first == written.first
            and (access.strides == written.strides).all()
            for access in read
        )
        self.graph.statements.append(
            Statement(
                place.loops,
                reduces,
                operations,
                tuple(ranges.divisions),
                (*read, written),
                is_update,
                place.has_condition,
                place.unroll_steps,
            )
        )

    def _reduces(self, loops: tuple[int, ...], ranges: _Ranges) -> tuple[bool, ...]:
        moved = np.zeros(len(loops), dtype=bool)
        for variable in ranges.seen & self._reducing:
            moved |= ranges.of(variable).strides != 0
        return tuple(map(bool, moved))

    def _access(self, variable: Any, indices: Sequence[Any], ranges: _Ranges, *, is_store: bool) -> Access:
        buffer = self._buffers.get(variable) or self._add_buffer(variable)
        strides = np.zeros(ranges.loops)
        unique = np.ones(ranges.loops + 1)
        run = unique  # elements one after the other, from the last dimension on
        span = unique  # elements from the first to the last
        is_whole = np.ones(ranges.loops + 1, dtype=bool)
        contiguous, first = 1.0, 0.0
        for size, index in zip(reversed(buffer.shape), reversed(list(indices)), strict=True):
            if size == 1:
                continue
            found = ranges.of(index)
            counts = np.clip(found.counts, 1, size)
            unique = unique * counts
            run = np.where(is_whole, unique, run)
            is_whole = is_whole & (counts == size)
            span = span + (counts - 1) * contiguous
            strides = strides + found.strides * contiguous
            first += found.first * contiguous
            contiguous *= size
        lines = np.minimum(unique / run * _lines(run, buffer), _lines(span, buffer))
        return Access(
            buffer.number,
            is_store,
            buffer.item_bytes,
            contiguous * buffer.item_bytes,
            buffer.is_argument,
            first,
            strides,
            unique * buffer.item_bytes,
            lines,
        )

    def _add_buffer(self, variable: Any) -> _Buffer:
        # A dimension that is only known later counts as one element.
        shape = tuple(_number(size) or 1 for size in variable.shape)
        item_bytes = max(int(variable.dtype.bits if hasattr(variable.dtype, "bits") else 32) // 8, 1)
        found = _Buffer(len(self._buffers), item_bytes, shape, variable in self._arguments)
        self._buffers[variable] = found
        return found


def _lines(elements: Float[np.ndarray, "depths"], buffer: _Buffer) -> Float[np.ndarray, "depths"]:
    """Cache lines that so many elements in a row take."""
    lines: Float[np.ndarray, "depths"] = np.ceil(elements * buffer.item_bytes / _LINE_BYTES)
    return lines


_STATEMENTS: Mapping[type, Callable[[_Reader, Any, _Place], None]] = {
    tirx.SeqStmt: _Reader.read_sequence,
    tirx.For: _Reader.read_loop,
    SBlockRealize: _Reader.read_realize,
    SBlock: _Reader.read_body,
    tirx.IfThenElse: _Reader.read_choice,
    tirx.AttrStmt: _Reader.read_body,
    tirx.BufferStore: _Reader.read_store,
}


# --- Indices ---


class _Ranges:
    """Ranges of index expressions around one statement."""

    def __init__(
        self, loops: tuple[int, ...], extents: Sequence[int], loop_of: Mapping[Any, int], values: Mapping[Any, Any]
    ) -> None:
        self.loops = len(loops)
        self.seen: set[Any] = set()
        """Variables that an index depends on."""
        self.divisions: list[tuple[int, int]] = []
        """See :class:`Statement`."""
        self._place = {loop: place for place, loop in enumerate(loops)}
        self._extents = extents
        self._loop_of = loop_of
        self._values = values
        self._known: dict[Any, IndexRanges] = {}

    def of(self, expression: Any) -> IndexRanges:
        kind = type(expression)
        if kind is Var:
            return self._of_variable(expression)
        if kind is tirx.IntImm:
            return IndexRanges.constant(int(expression.value), self.loops)
        operation = _ARITHMETIC.get(kind)
        if operation is not None:
            return operation(self.of(expression.a), self.of(expression.b))
        division = _DIVISIONS.get(kind)
        if division is not None:
            divisor = _number(expression.b)
            if divisor:
                divided = self.of(expression.a)
                if divisor & (divisor - 1):  # a power of two is a shift
                    self.divisions.append(divided.changed_by)
                return division(divided, divisor)
        if kind is tirx.Cast:
            return self.of(expression.value)
        return IndexRanges.constant(0, self.loops)  # an element that data decides: it might be any

    def _of_variable(self, variable: Any) -> IndexRanges:
        found = self._known.get(variable)
        if found is None:
            self.seen.add(variable)
            loop = self._loop_of.get(variable)
            if loop is not None and loop in self._place:
                place = self._place[loop]
                found = IndexRanges.of_loop(place, self._extents[place], self.loops)
            elif variable in self._values:
                found = self.of(self._values[variable])
            else:
                found = IndexRanges.constant(0, self.loops)
            self._known[variable] = found
        return found


_ARITHMETIC: Mapping[type, Callable[[IndexRanges, IndexRanges], IndexRanges]] = {
    tirx.Add: IndexRanges.__add__,
    tirx.Sub: IndexRanges.__sub__,
    tirx.Mul: IndexRanges.__mul__,
    tirx.Min: IndexRanges.minimum,
    tirx.Max: IndexRanges.maximum,
}
_DIVISIONS: Mapping[type, Callable[[IndexRanges, int], IndexRanges]] = {
    tirx.FloorDiv: IndexRanges.__floordiv__,
    tirx.FloorMod: IndexRanges.__mod__,
}


def _number(expression: Any) -> int | None:
    """The value of a constant."""
    return int(expression.value) if type(expression) is tirx.IntImm else None


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


def _count(expression: Any, operations: Operations, loads: list[Any]) -> None:
    """Count what a value takes, and collect the elements that it reads."""
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
        else:
            operations.functions += 1
        for argument in expression.args:
            _count(argument, operations, loads)
        return
    for part in _parts(kind, expression):
        _count(part, operations, loads)


def _parts(kind: type, expression: Any) -> Sequence[Any]:
    if kind is tirx.Select:
        return (expression.condition, expression.true_value, expression.false_value)
    if kind in _COUNTED:
        return (expression.a, expression.b)
    return (expression.value,) if kind is tirx.Cast else ()
