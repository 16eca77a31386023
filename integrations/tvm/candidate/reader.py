"""TIR → :class:`StatementGraph`.  TVM has no visitors in Python for this, so statements are walked by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int
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
        elements = [*((load.source, load.indices) for load in loads), (store.buffer, store.indices)]
        *read, written = self._accesses(elements, ranges)
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

    def _accesses(self, elements: Sequence[tuple[Any, Sequence[Any]]], ranges: _Ranges) -> list[Access]:
        """Accesses to elements, each a buffer and its indices; the last is written to, the others are read.

        All at once, dimension by dimension from the last, and padded with dimensions of one element.
        """
        buffers = [self._buffers.get(variable) or self._add_buffer(variable) for variable, _ in elements]
        shape = (len(buffers), max(1, *(len(buffer.shape) for buffer in buffers)))  # a number has one element, too
        sizes, values = np.ones(shape), np.zeros((*shape, 3, ranges.loops + 1))
        for row, (buffer, (_, indices)) in enumerate(zip(buffers, elements, strict=True)):
            for place, (size, index) in enumerate(zip(reversed(buffer.shape), reversed(list(indices)), strict=True)):
                if size > 1:
                    sizes[row, place] = size
                    values[row, place] = ranges.of(index).values
        item_bytes = np.array([[buffer.item_bytes] for buffer in buffers])
        steps = sizes.cumprod(axis=1) / sizes  # elements from one to the next along a dimension
        counts = np.clip(values[:, :, 2] - values[:, :, 1] + 1, 1, sizes[:, :, None])
        unique = counts.prod(axis=1)
        # From the last dimension on, elements are one after the other up to the first that is not touched as a whole.
        is_whole = np.logical_and.accumulate(counts == sizes[:, :, None], axis=1)
        run = counts[:, 0] * np.where(is_whole[:, :-1], counts[:, 1:], 1).prod(axis=1)
        span = 1 + ((counts - 1) * steps[:, :, None]).sum(axis=1)  # elements from the first to the last
        lines = np.minimum(unique / run * _lines(run, item_bytes), _lines(span, item_bytes))
        strides = ((values[:, :, 0, 1:] - values[:, :, 0, :1]) * steps[:, :, None]).sum(axis=1)
        first = (values[:, :, 0, 0] * steps).sum(axis=1)
        return [
            Access(
                buffer.number,
                row == len(buffers) - 1,
                buffer.item_bytes,
                float(sizes[row].prod()) * buffer.item_bytes,
                buffer.is_argument,
                float(first[row]),
                strides[row],
                unique[row] * buffer.item_bytes,
                lines[row],
            )
            for row, buffer in enumerate(buffers)
        ]

    def _add_buffer(self, variable: Any) -> _Buffer:
        # A dimension that is only known later counts as one element.
        shape = tuple(_number(size) or 1 for size in variable.shape)
        item_bytes = max(int(variable.dtype.bits if hasattr(variable.dtype, "bits") else 32) // 8, 1)
        found = _Buffer(len(self._buffers), item_bytes, shape, variable in self._arguments)
        self._buffers[variable] = found
        return found


def _lines(
    elements: Float[np.ndarray, "accesses depths"], item_bytes: Int[np.ndarray, "accesses 1"]
) -> Float[np.ndarray, "accesses depths"]:
    """Cache lines that so many elements in a row take."""
    lines: Float[np.ndarray, "accesses depths"] = np.ceil(elements * item_bytes / _LINE_BYTES)
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
