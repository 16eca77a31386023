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
    return StatementGraph(reader.loops, _statements(reader.stores))


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
    bound: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class _Buffer:
    number: int
    item_bytes: int
    shape: tuple[int, ...]
    is_argument: bool


@dataclass(frozen=True, slots=True)
class _Element:
    """An element of a buffer.

    Attributes:
        buffer: Which.
        indices: Dimensions of more than one element, each with its index, see :class:`IndexRanges`.
    """

    buffer: _Buffer
    indices: Sequence[tuple[int, Float[np.ndarray, "3 depths"]]]


@dataclass(frozen=True, slots=True)
class _Store:
    """A statement, without what is computed of all statements at once.

    Attributes:
        place: Where it is.
        reduces: See :class:`Statement`.
        operations: See :class:`Statement`.
        divisions: See :class:`Statement`.
        elements: What it reads, in order, then what it writes.
    """

    place: _Place
    reduces: tuple[bool, ...]
    operations: Operations
    divisions: tuple[tuple[int, int], ...]
    elements: Sequence[_Element]


class _Reader:
    """Walks statements, the outermost first, and keeps what their variables stand for."""

    def __init__(self, arguments: Sequence[Any]) -> None:
        self.loops: list[Loop] = []
        self.stores: list[_Store] = []
        self._arguments = frozenset(map(_key, arguments))
        self._buffers: dict[int, _Buffer] = {}
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
        for statement in sequence.seq:
            self.read(statement, place)

    def read_loop(self, loop: Any, place: _Place) -> None:
        extent = _number(loop.extent)
        limit = loop.annotations.get(_UNROLL_STEPS) if loop.annotations else None
        steps = place.unroll_steps if limit is None else int(limit)
        if extent is not None and extent <= 1:
            self._values[_key(loop.loop_var)] = loop.min
            self.read(loop.body, replace(place, unroll_steps=steps))
            return
        number = self._loop_of[_key(loop.loop_var)] = len(self.loops)
        parent = place.loops[-1] if place.loops else -1
        self.loops.append(Loop(parent, len(place.loops), extent or 1, LoopKind(int(loop.kind)), steps))
        self.read(loop.body, replace(place, loops=(*place.loops, number), unroll_steps=steps))

    def read_realize(self, realize: Any, place: _Place) -> None:
        block = realize.block
        for variable, value in zip(block.iter_vars, realize.iter_values, strict=True):
            self._values[_key(variable.var)] = value
            if int(variable.iter_type) == tirx.IterVar.CommReduce:
                self._reducing.add(_key(variable.var))
        condition = _number(realize.predicate) != 1
        bound = (*place.bound, *(_key(variable.var) for variable in block.iter_vars))
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
        extents = [self.loops[loop].extent for loop in place.loops]
        ranges = _Ranges(place.loops, extents, self._loop_of, self._values)
        elements = [*((load.source, load.indices) for load in loads), (store.buffer, store.indices)]
        found = [self._element(buffer, indices, ranges) for buffer, indices in elements]
        reduces = self._reduces(place.loops, ranges)
        for variable in place.bound:
            ranges.of_variable(variable)  # what no access asks for is computed all the same
        self.stores.append(_Store(place, reduces, operations, tuple(ranges.divisions), found))

    def _element(self, variable: Any, indices: Any, ranges: _Ranges) -> _Element:
        buffer = self._buffers.get(_key(variable)) or self._add_buffer(variable)
        return _Element(
            buffer,
            [
                (dimension, ranges.of(index).values)
                for dimension, (size, index) in enumerate(zip(buffer.shape, indices, strict=True))
                if size > 1
            ],
        )

    def _reduces(self, loops: tuple[int, ...], ranges: _Ranges) -> tuple[bool, ...]:
        moved = np.zeros(len(loops), dtype=bool)
        for variable in ranges.seen & self._reducing:
            moved |= ranges.of_variable(variable).strides != 0
        return tuple(map(bool, moved))

    def _add_buffer(self, variable: Any) -> _Buffer:
        # A dimension that is only known later counts as one element.
        shape = tuple(_number(size) or 1 for size in variable.shape)
        item_bytes = max(int(variable.dtype.bits if hasattr(variable.dtype, "bits") else 32) // 8, 1)
        found = _Buffer(len(self._buffers), item_bytes, shape, _key(variable) in self._arguments)
        self._buffers[_key(variable)] = found
        return found


def _statements(stores: Sequence[_Store]) -> list[Statement]:
    accesses = iter(_accesses(stores))
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
                store.operations,
                store.divisions,
                (*read, written),
                is_update,
                store.place.has_condition,
                store.place.unroll_steps,
            )
        )
    return found


def _accesses(stores: Sequence[_Store]) -> list[Access]:
    """What statements read and write, one after the other, the last of each statement is written.

    All at once, dimension by dimension from the last, padded with dimensions of one element and with loops.
    """
    elements = [element for store in stores for element in store.elements]
    loops = np.repeat([len(store.place.loops) for store in stores], [len(store.elements) for store in stores])
    buffers = [element.buffer for element in elements]
    dims = max((len(buffer.shape) for buffer in buffers), default=0) or 1  # a number has one element, too
    sizes, values = np.ones((len(elements), dims)), np.zeros((len(elements), dims, 3, max(loops, default=0) + 1))
    for row, element in enumerate(elements):
        last = len(element.buffer.shape) - 1
        for dimension, index in element.indices:
            sizes[row, last - dimension] = element.buffer.shape[dimension]
            values[row, last - dimension, :, : index.shape[1]] = index
    item_bytes = np.array([buffer.item_bytes for buffer in buffers], dtype=np.int64)[:, None]
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
    buffer_bytes = sizes.prod(axis=1) * item_bytes[:, 0]
    touched = unique * item_bytes
    is_store = [element is store.elements[-1] for store in stores for element in store.elements]
    return [
        Access(
            buffer.number,
            is_store[row],
            buffer.item_bytes,
            float(buffer_bytes[row]),
            buffer.is_argument,
            float(first[row]),
            strides[row, : loops[row]],
            touched[row, : loops[row] + 1],
            lines[row, : loops[row] + 1],
        )
        for row, buffer in enumerate(buffers)
    ]


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
        self, loops: tuple[int, ...], extents: Sequence[int], loop_of: Mapping[int, int], values: Mapping[int, Any]
    ) -> None:
        self.loops = len(loops)
        self.seen: set[int] = set()
        """Variables that an index depends on."""
        self.divisions: list[tuple[int, int]] = []
        """See :class:`Statement`."""
        self._place = {loop: place for place, loop in enumerate(loops)}
        self._extents = extents
        self._loop_of = loop_of
        self._values = values
        self._known: dict[int, IndexRanges] = {}

    def of(self, expression: Any) -> IndexRanges:
        kind = type(expression)
        if kind is Var:
            return self.of_variable(_key(expression))
        if kind is tirx.IntImm:
            return IndexRanges.constant(int(expression.value), self.loops)
        if kind is tirx.Mul and type(expression.b) is tirx.IntImm:
            return self.of(expression.a).scaled(int(expression.b.value))
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

    def of_variable(self, key: int) -> IndexRanges:
        found = self._known.get(key)
        if found is None:
            self.seen.add(key)
            loop = self._loop_of.get(key)
            if loop is not None and loop in self._place:
                place = self._place[loop]
                found = IndexRanges.of_loop(place, self._extents[place], self.loops)
            elif key in self._values:
                found = self.of(self._values[key])
            else:
                found = IndexRanges.constant(0, self.loops)
            self._known[key] = found
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


def _key(variable: Any) -> int:
    """What a variable or buffer is known by: its address.  To compare two with ``==`` would build an expression."""
    return hash(variable)


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
