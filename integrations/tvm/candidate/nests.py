"""Statements of one or more candidates and the loops around them, as arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from costmodel.integrations.tvm.candidate.statement_graph import Access, LoopKind, Statement, StatementGraph

__all__ = ["Nests", "at_places"]

_NO_LOOP = -1


@dataclass(frozen=True)
class Nests:
    """Statements in the order of the program, candidate after candidate, and their accesses, statement after statement.

    The outermost loop comes first, and all nests end with their innermost loop: where a statement has fewer loops than
    another, the places outside of its own are loops that run once and move nothing.

    Attributes:
        statements: The statements.
        accesses: What each reads, in order, and then what it writes.
        of_access: Which statement each access belongs to.
        buffers: Which buffer each goes to; buffers of different candidates are different ones.
        loops: Which loop is in each place, counted over all candidates; -1 where there is none.
        extents: How often each loop runs.
        kinds: How, see :class:`LoopKind`; -1 where there is none.
        strides: Elements between two runs of each loop.
        unique_bytes: Bytes touched while the loops from the d-th inwards run, d from 0.
        lines: Cache lines touched meanwhile.
    """

    statements: Sequence[Statement]
    accesses: Sequence[Access]
    of_access: Int[np.ndarray, " accesses"]
    buffers: Int[np.ndarray, " accesses"]
    loops: Int[np.ndarray, "statements loops"]
    extents: Float[np.ndarray, "statements loops"]
    kinds: Int[np.ndarray, "statements loops"]
    strides: Float[np.ndarray, "accesses loops"]
    unique_bytes: Float[np.ndarray, "accesses depths"]
    lines: Float[np.ndarray, "accesses depths"]

    @classmethod
    def of(cls, graphs: Sequence[StatementGraph]) -> Nests:
        """The statements of candidates."""
        statements = [statement for graph in graphs for statement in graph.statements]
        accesses = [access for statement in statements for access in statement.accesses]
        depths = np.array([len(statement.loops) for statement in statements], dtype=np.int64)
        places = int(depths.max(initial=1))
        shape = (len(statements), places)
        is_loop = np.arange(places) >= places - depths[:, None]
        first_loop = np.cumsum([0, *(len(graph.loops) for graph in graphs)])
        loops = np.full(shape, _NO_LOOP)
        loops[is_loop] = [
            first + loop
            for graph, first in zip(graphs, first_loop.tolist(), strict=False)
            for statement in graph.statements
            for loop in statement.loops
        ]
        extent_of, kind_of = (
            np.array([getattr(loop, name) for graph in graphs for loop in graph.loops], dtype=np.int64)
            for name in ("extent", "kind")
        )
        extents, kinds = np.ones(shape), np.full(shape, _NO_LOOP)
        extents[is_loop], kinds[is_loop] = extent_of[loops[is_loop]], kind_of[loops[is_loop]]
        of_access = np.repeat(np.arange(len(statements)), [len(statement.accesses) for statement in statements])
        strides = np.zeros((len(accesses), places))
        strides[is_loop[of_access]] = _joined([access.strides for access in accesses])
        return cls(
            statements,
            accesses,
            of_access,
            _buffers(graphs),
            loops,
            extents,
            kinds,
            strides,
            _by_depth([access.unique_bytes for access in accesses], places),
            _by_depth([access.lines for access in accesses], places),
        )

    @cached_property
    def is_loop(self) -> Bool[np.ndarray, "statements loops"]:
        """Where there is a loop."""
        there: Bool[np.ndarray, "statements loops"] = self.loops >= 0
        return there

    @cached_property
    def reduces(self) -> Bool[np.ndarray, "statements loops"]:
        """Along which loops a statement adds to the same element again."""
        return self._in_place(flag for statement in self.statements for flag in statement.reduces)

    @cached_property
    def decides(self) -> Bool[np.ndarray, "statements loops"]:
        """Which loops a condition of a statement depends on."""
        return self._in_place(flag for statement in self.statements for flag in statement.decides)

    def _in_place(self, flags: Iterable[bool]) -> Bool[np.ndarray, "statements loops"]:
        placed = np.zeros(self.loops.shape, dtype=bool)
        placed[self.is_loop] = [*flags]
        return placed

    @cached_property
    def first_access(self) -> Int[np.ndarray, " statements"]:
        """The first access of each statement, which all have one."""
        return np.searchsorted(self.of_access, np.arange(len(self.statements)))

    @cached_property
    def stores(self) -> Int[np.ndarray, " statements"]:
        """The access that each statement writes by, its last."""
        return np.append(self.first_access[1:], len(self.accesses)) - 1 if len(self.statements) else self.first_access

    @cached_property
    def outside(self) -> Float[np.ndarray, "statements depths"]:
        """Product of the extents of the loops outside of the d-th."""
        start = np.ones((len(self.extents), 1))
        outside: Float[np.ndarray, "statements depths"] = np.concatenate([start, self.extents.cumprod(axis=1)], axis=1)
        return outside

    @cached_property
    def inside(self) -> Float[np.ndarray, "statements depths"]:
        """Product of the extents of the d-th loop and those inside of it."""
        end = np.ones((len(self.extents), 1))
        products = self.extents[:, ::-1].cumprod(axis=1)[:, ::-1]
        inside: Float[np.ndarray, "statements depths"] = np.concatenate([products, end], axis=1)
        return inside

    @cached_property
    def vector_width(self) -> Float[np.ndarray, " statements"]:
        """Elements that are processed at once."""
        width: Float[np.ndarray, " statements"] = np.where(
            self.kinds[:, -1] == LoopKind.VECTORISED, self.extents[:, -1], 1.0
        )
        return width

    @cached_property
    def renews(self) -> Bool[np.ndarray, "accesses loops"]:
        """Which loops come to other contents with each step: elsewhere, or in the same place anew."""
        depths = self.is_loop.sum(axis=1)[self.of_access]
        fresh = np.array([access.fresh_loops for access in self.accesses], dtype=np.int64)
        places = self.strides.shape[1]
        is_fresh = np.arange(places) < (places - depths + fresh)[:, None]
        renews: Bool[np.ndarray, "accesses loops"] = (self.strides != 0) | (is_fresh & (fresh > 0)[:, None])
        return renews

    def written_out(self, steps: Float[np.ndarray, " statements"]) -> Bool[np.ndarray, "statements loops"]:
        """Which loops a compiler writes out: those of vectors, and others from the innermost, up to so many steps."""
        is_vector = self.kinds == LoopKind.VECTORISED
        counted = np.where(is_vector, 1.0, self.extents)[:, ::-1].cumprod(axis=1)[:, ::-1]
        fits = (self.kinds == LoopKind.SERIAL) & (counted <= steps[:, None])
        may = is_vector | fits | (self.kinds == LoopKind.UNROLLED)
        written_out: Bool[np.ndarray, "statements loops"] = np.logical_and.accumulate(may[:, ::-1], axis=1)[:, ::-1]
        return written_out

    def total(self, of_accesses: Float[np.ndarray, "accesses *columns"]) -> Float[np.ndarray, "statements *columns"]:
        """Sums over the accesses of each statement."""
        if not len(self.statements):
            return of_accesses[:0]
        total: Float[np.ndarray, "statements *columns"] = np.add.reduceat(of_accesses, self.first_access, axis=0)
        return total


def at_places(
    values: Shaped[np.ndarray, "rows places"], place: Int[np.ndarray, " rows"]
) -> Shaped[np.ndarray, " rows"]:
    """Of each row the value at its own place."""
    found: Shaped[np.ndarray, "rows"] = values[np.arange(len(values)), place]
    return found


def _buffers(graphs: Sequence[StatementGraph]) -> Int[np.ndarray, " accesses"]:
    numbers: list[int] = []
    first = 0
    for graph in graphs:
        found = [access.buffer for statement in graph.statements for access in statement.accesses]
        numbers += [first + buffer for buffer in found]
        first += max(found, default=-1) + 1
    return np.array(numbers, dtype=np.int64)


def _joined(rows: Sequence[Float[np.ndarray, "_"]]) -> Float[np.ndarray, "values"]:
    return np.concatenate(rows) if rows else np.zeros(0)


def _by_depth(rows: Sequence[Float[np.ndarray, "_"]], places: int) -> Float[np.ndarray, "rows depths"]:
    """One below the other; the places outside of all loops are as the outermost."""
    sizes = np.array([len(row) for row in rows], dtype=np.int64)
    ends = sizes.cumsum()
    column = np.arange(places + 1) - (places + 1)
    index = np.maximum(ends[:, None] + column, (ends - sizes)[:, None])
    return _joined(rows)[index]
