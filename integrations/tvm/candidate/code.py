"""What the code generator makes of a statement's inner loops: which are written out, and what stays in registers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
from jaxtyping import Bool

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
    """The buffers on the stack, by number.

    TVM keeps of a buffer what is touched within the loops that all its statements share.
    """
    statements: dict[int, list[tuple[Statement, Access]]] = {}
    for statement in graph.statements:
        for access in statement.accesses:
            if not access.is_argument:
                statements.setdefault(access.buffer, []).append((statement, access))
    found = {}
    for buffer, uses in statements.items():
        shared = _shared([statement.loops for statement, _ in uses])
        if max(access.unique_bytes[shared] for _, access in uses) <= _STACK_BYTES:
            found[buffer] = StackBuffer(max(_width(statement, access, graph.loops) for statement, access in uses))
    return found


def _shared(paths: Sequence[tuple[int, ...]]) -> int:
    """How many loops, from the outermost, are the same."""
    return len(list(takewhile(lambda loops: len(set(loops)) == 1, zip(*paths, strict=False))))


def _width(statement: Statement, access: Access, loops: Sequence[Loop]) -> int:
    """Elements of an access at once."""
    if not statement.loops or loops[statement.loops[-1]].kind is not LoopKind.VECTORISED:
        return 1
    return loops[statement.loops[-1]].extent if access.strides[-1] != 0 else 1


@dataclass(frozen=True, slots=True)
class InnerCode:
    """What becomes of the loops right around a statement.

    Attributes:
        steps: Copies of the statement in the innermost loop that is left.
        carries: Whether that loop adds to the same elements each time, so that they stay in registers.
        elements: So many; 0 if it does not.
        registers: Vector registers that they take.
        is_on_stack: Whether it writes to a buffer on the stack.
        is_taken_to_pieces: Whether they are vectors of a width that LLVM knows no registers for: beyond the widest
            register, and no power of two.  From one run of a loop to the next it keeps those as single elements.
        runs: How often the loop's body is run.
        lanes: Elements that can be computed at once along the innermost loop that writes one after the other; 1 where
            there is none, or where it reads with other strides than 0 and 1.
        steps_inside: Copies of the statement within that loop.
    """

    steps: float
    carries: bool
    elements: float
    registers: float
    is_on_stack: bool
    is_taken_to_pieces: bool
    runs: float
    lanes: float
    steps_inside: float

    @classmethod
    def of(cls, statement: Statement, loops: Sequence[Loop], on_stack: dict[int, StackBuffer]) -> InnerCode:
        """Of a statement.

        Args:
            statement: One of a candidate's.
            loops: All loops of the candidate.
            on_stack: See :func:`stack_buffers`.
        """
        around = [loops[index] for index in statement.loops]
        extents = np.array([loop.extent for loop in around], dtype=np.float64)
        written_out = _written_out(around, statement.unroll_steps)
        left = int(np.flatnonzero(~written_out)[-1]) if not written_out.all() else -1
        store = statement.accesses[-1]
        width = _width(statement, store, loops)
        carries = left >= 0 and statement.is_update and bool(store.strides[left] == 0)
        elements = float(store.unique_bytes[left + 1] / store.item_bytes) if carries else 0.0
        whole = on_stack[store.buffer].width if store.buffer in on_stack else width
        place = _contiguous(statement, written_out)
        lanes = 1.0 if place < 0 else float(min(extents[place], _MOST_LANES))
        at_once = width if width > 1 else lanes
        return cls(
            steps=float(extents[left + 1 :].prod()) / width,
            carries=carries,
            elements=elements,
            registers=float(elements / at_once * np.ceil(at_once / _MOST_LANES)),
            is_on_stack=store.buffer in on_stack,
            is_taken_to_pieces=carries and whole > _MOST_LANES and bool(whole & (whole - 1)),
            runs=float(extents[: left + 1].prod()),
            lanes=lanes,
            steps_inside=float(extents[place + 1 :].prod()) if place >= 0 else 0.0,
        )

    @property
    def pieces(self) -> float:
        """Single elements that are put together and taken apart again, in all runs."""
        return self.runs * self.elements if self.is_taken_to_pieces else 0.0

    @property
    def spills(self) -> float:
        """Vectors that find no register, in all runs."""
        return self.runs * max(self.registers - _MOST_REGISTERS, 0.0)


def _written_out(loops: Sequence[Loop], steps: int) -> Bool[np.ndarray, "loops"]:
    """Which loops neither TVM nor LLVM leaves as loops."""
    written_out = np.zeros(len(loops), dtype=bool)
    product = 1
    for place in range(len(loops) - 1, -1, -1):
        loop = loops[place]
        if loop.kind is not LoopKind.VECTORISED:
            product *= loop.extent
            fits = loop.kind is LoopKind.SERIAL and product <= max(steps, _WRITTEN_OUT_STEPS)
            if not fits and loop.kind is not LoopKind.UNROLLED:
                break
        written_out[place] = True
    return written_out


def _contiguous(statement: Statement, written_out: Bool[np.ndarray, "loops"]) -> int:
    """The innermost loop that vectors can run along, if only loops that are written out are inside it; -1 for none."""
    strides = np.abs(np.array([access.strides for access in statement.accesses]))
    for place in range(len(statement.loops) - 1, -1, -1):
        if strides[-1, place] == 1:
            return place if not statement.reduces[place] and (strides[:-1, place] <= 1).all() else -1
        if not written_out[place]:
            break
    return -1
