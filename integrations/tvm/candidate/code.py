"""What the code generator makes of statements' inner loops: which are written out, and what stays in registers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from costmodel.integrations.tvm.candidate.nests import Nests, at_places
from costmodel.integrations.tvm.candidate.statement_graph import Access, Loop, LoopKind, Statement, StatementGraph

__all__ = ["InnerCode", "StackBuffer", "stack_buffers"]

_MOST_LANES = 16
_MOST_REGISTERS = 28
"""Of thirty-two vector registers, some hold what is loaded."""

_WRITTEN_OUT_STEPS = 40
"""LLVM writes a loop out where that makes at most 300 instructions, and a step of a reduction is seven or so."""

_STACK_BYTES = 1024
"""TVM puts buffers of up to so many bytes on the stack (``kMaxStackAlloca``); LLVM then takes them to pieces."""


@dataclass(frozen=True, slots=True)
class StackBuffer:
    """A buffer that TVM makes small enough for the stack.

    Attributes:
        width: Elements of the widest vector that is read from it, or written to it, at once.
    """

    width: int


def stack_buffers(graph: StatementGraph) -> dict[int, StackBuffer]:
    """The buffers of a candidate that are on the stack, by number."""
    widths: dict[int, int] = {}
    for statement in graph.statements:
        for access in statement.accesses:
            if not access.is_argument and access.buffer_bytes <= _STACK_BYTES:
                width = _width(statement, access, graph.loops)
                widths[access.buffer] = max(width, widths.get(access.buffer, 0))
    return {buffer: StackBuffer(width) for buffer, width in widths.items()}


def _width(statement: Statement, access: Access, loops: Sequence[Loop]) -> int:
    """Elements of an access at once."""
    if not statement.loops or loops[statement.loops[-1]].kind is not LoopKind.VECTORISED:
        return 1
    return loops[statement.loops[-1]].extent if access.strides[-1] != 0 else 1


@dataclass(frozen=True)
class InnerCode:
    """What becomes of the loops right around statements; one number each.

    Attributes:
        nests: The statements.
        on_stack: Of each, the buffers of its candidate that are on the stack, see :func:`stack_buffers`.
    """

    nests: Nests
    on_stack: Sequence[Mapping[int, StackBuffer]]

    @classmethod
    def of(cls, graphs: Sequence[StatementGraph], nests: Nests) -> InnerCode:
        """Of the statements of candidates."""
        of_graphs = [stack_buffers(graph) for graph in graphs]
        return cls(nests, [found for graph, found in zip(graphs, of_graphs, strict=True) for _ in graph.statements])

    @property
    def steps(self) -> Float[np.ndarray, " statements"]:
        """Copies of a statement in the innermost loop that is left."""
        steps: Float[np.ndarray, " statements"] = at_places(self.nests.inside, self._left + 1) / self._width
        return steps

    @cached_property
    def carries(self) -> Bool[np.ndarray, " statements"]:
        """Whether that loop adds to the same elements each time, so that they stay in registers."""
        is_update = np.array([statement.is_update for statement in self.nests.statements], dtype=bool)
        renewed = at_places(self.nests.renews[self.nests.stores], self._left)
        carries: Bool[np.ndarray, " statements"] = (self._left >= 0) & is_update & ~renewed
        return carries

    @cached_property
    def elements(self) -> Float[np.ndarray, " statements"]:
        """So many; 0 if it does not."""
        stores = self.nests.stores
        item_bytes = np.array([self.nests.accesses[store].item_bytes for store in stores], dtype=np.float64)
        written = at_places(self.nests.unique_bytes[stores], self._left + 1) / item_bytes
        elements: Float[np.ndarray, " statements"] = written * self.carries
        return elements

    @cached_property
    def registers(self) -> Float[np.ndarray, " statements"]:
        """Vector registers that they take."""
        at_once = np.where(self._width > 1, self._width, self.lanes)
        return self.elements / at_once * np.ceil(at_once / _MOST_LANES)

    @cached_property
    def is_on_stack(self) -> Bool[np.ndarray, " statements"]:
        """Whether a statement writes to a buffer on the stack."""
        return np.array([buffer in found for buffer, found in self._stored], dtype=bool)

    @property
    def is_taken_to_pieces(self) -> Bool[np.ndarray, " statements"]:
        """Whether they are vectors of a width that LLVM knows no registers for: beyond the widest, and no power of two.

        From one run of a loop to the next it keeps those as single elements.
        """
        widest = [found[buffer].width if buffer in found else 0 for buffer, found in self._stored]
        whole = np.where(self.is_on_stack, np.array(widest, dtype=np.int64), self._width.astype(np.int64))
        is_odd = (whole > _MOST_LANES) & ((whole & (whole - 1)) != 0)
        is_taken: Bool[np.ndarray, " statements"] = self.carries & is_odd
        return is_taken

    @property
    def runs(self) -> Float[np.ndarray, " statements"]:
        """How often the loop's body is run."""
        return at_places(self.nests.outside, self._left + 1)

    @property
    def lanes(self) -> Float[np.ndarray, " statements"]:
        """Elements that can be computed at once along the innermost loop that writes one after the other.

        1 where there is none, or where it reads with other strides than 0 and 1.
        """
        lanes: Float[np.ndarray, " statements"] = np.minimum(
            at_places(self.nests.extents, self._contiguous), _MOST_LANES
        )
        return np.where(self._contiguous >= 0, lanes, 1.0)

    @property
    def steps_inside(self) -> Float[np.ndarray, " statements"]:
        """Copies of a statement within that loop."""
        return np.where(self._contiguous >= 0, at_places(self.nests.inside, self._contiguous + 1), 0.0)

    @property
    def pieces(self) -> Float[np.ndarray, " statements"]:
        """Single elements that are put together and taken apart again, in all runs."""
        pieces: Float[np.ndarray, " statements"] = self.runs * self.elements * self.is_taken_to_pieces
        return pieces

    @property
    def spills(self) -> Float[np.ndarray, " statements"]:
        """Vectors that find no register, in all runs."""
        spills: Float[np.ndarray, " statements"] = self.runs * np.maximum(self.registers - _MOST_REGISTERS, 0.0)
        return spills

    @property
    def _stored(self) -> list[tuple[int, Mapping[int, StackBuffer]]]:
        """The buffer that each statement writes to, and those on the stack."""
        written = [statement.accesses[-1].buffer for statement in self.nests.statements]
        return list(zip(written, self.on_stack, strict=True))

    @cached_property
    def _width(self) -> Float[np.ndarray, " statements"]:
        """Elements that a statement writes at once."""
        moved = self.nests.strides[self.nests.stores, -1] != 0
        return np.where(moved, self.nests.vector_width, 1.0)

    @cached_property
    def _written_out(self) -> Bool[np.ndarray, "statements loops"]:
        """Which loops neither TVM nor LLVM leaves as loops."""
        steps = [max(statement.unroll_steps, _WRITTEN_OUT_STEPS) for statement in self.nests.statements]
        return self.nests.written_out(np.array(steps, dtype=np.float64))

    @cached_property
    def _left(self) -> Int[np.ndarray, " statements"]:
        """The innermost loop that is left; -1 for none."""
        return _last(self.nests.is_loop & ~self._written_out)

    @cached_property
    def _contiguous(self) -> Int[np.ndarray, " statements"]:
        """The innermost loop that vectors can run along, if all inside it are written out; -1 for none."""
        nests = self.nests
        by_one = np.abs(nests.strides[nests.stores]) == 1
        others = np.ones_like(self._written_out[:, :1])
        within = np.concatenate([self._written_out[:, 1:], others], axis=1)
        place = _last(by_one & within)
        is_load = np.ones(len(nests.accesses), dtype=bool)
        is_load[nests.stores] = False
        is_far = (np.abs(nests.strides) > 1) & is_load[:, None]
        blocked = nests.reduces | (nests.total(is_far.astype(np.float64)) > 0)
        contiguous: Int[np.ndarray, " statements"] = np.where(at_places(blocked, place), -1, place)
        return contiguous


def _last(holds: Bool[np.ndarray, "rows loops"]) -> Int[np.ndarray, " rows"]:
    """The last place where something holds; -1 if nowhere."""
    last: Int[np.ndarray, " rows"] = np.where(holds, np.arange(holds.shape[1]), -1).max(axis=1)
    return last
