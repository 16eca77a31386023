"""A candidate as loops, statements and what they read and write; nothing in it is TVM's."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from jaxtyping import Float

__all__ = ["Access", "Loop", "LoopKind", "Operations", "Statement", "StatementGraph"]


class LoopKind(IntEnum):
    """How a loop runs."""

    SERIAL = 0
    PARALLEL = 1
    VECTORISED = 2
    UNROLLED = 3
    BOUND = 4
    """To threads of a graphics card."""


@dataclass(frozen=True, slots=True)
class Loop:
    """A loop that runs more than once.

    Attributes:
        parent: Index of the loop around it; -1 for none.
        depth: How many loops are around it.
        extent: How often it runs.
        kind: How.
        unroll_steps: The compiler unrolls loops inside as long as that makes no more statements; 0 for no limit set.
    """

    parent: int
    depth: int
    extent: int
    kind: LoopKind
    unroll_steps: int


@dataclass(slots=True)
class Operations:
    """How many of each sort one execution of a statement does.

    Attributes:
        additions: Floating-point sums and differences.
        products: Floating-point products.
        divisions: Floating-point quotients.
        functions: Exponentials, roots and the like.
        comparisons: Minima, maxima, comparisons and choices.
        choices: Whether something is only done if a condition holds, at the edge of an image for example.
    """

    additions: int = 0
    products: int = 0
    divisions: int = 0
    functions: int = 0
    comparisons: int = 0
    choices: int = 0

    @property
    def floating(self) -> int:
        """Those that vector units do one of a cycle or more."""
        return self.additions + self.products + self.comparisons


@dataclass(frozen=True, slots=True)
class Access:
    """An element that a statement reads or writes.

    Attributes:
        buffer: Which buffer, by number.
        is_store: Whether it writes.
        item_bytes: Size of an element.
        buffer_bytes: Size of the whole buffer, as it is allocated.
        is_argument: Whether the buffer comes from outside.
        first: Which element of the buffer it is where all loops are at 0.
        strides: Elements between one run of each loop and its next.
        unique_bytes: Bytes it touches while the loops from the d-th inwards run, d from 0.
        lines: Cache lines it touches meanwhile.
        fresh_loops: So many loops, from the outermost, find the buffer with nothing in it whenever they go on: those
            that it is allocated in.
    """

    buffer: int
    is_store: bool
    item_bytes: int
    buffer_bytes: float
    is_argument: bool
    first: float
    strides: Float[np.ndarray, "loops"]
    unique_bytes: Float[np.ndarray, "depths"]
    lines: Float[np.ndarray, "depths"]
    fresh_loops: int = 0


@dataclass(frozen=True, slots=True)
class Statement:
    """An assignment to one element, done again and again by the loops around it.

    Attributes:
        loops: Indices of those loops, the outermost first.
        reduces: For each of them whether it adds to the same element again.
        decides: For each of them whether a condition depends on it, one that skips the statement or chooses a value.
        operations: What one execution computes, but for its indices.
        divisions: For each integer quotient or rest in its indices the first loop that changes it, and the one after
            the last: it is not done again in those further in.  One takes several cycles, unless by a power of two:
            those are left out.
        accesses: What it reads, in order, then what it writes.
        is_update: Whether it reads what it writes.
        has_condition: Whether some executions are skipped, where the loops overrun.
        unroll_steps: The compiler unrolls loops around it as long as that does not make more statements; 0 for none.
    """

    loops: tuple[int, ...]
    reduces: tuple[bool, ...]
    decides: tuple[bool, ...]
    operations: Operations
    divisions: tuple[tuple[int, int], ...]
    accesses: tuple[Access, ...]
    is_update: bool
    has_condition: bool
    unroll_steps: int


@dataclass(frozen=True, slots=True)
class StatementGraph:
    """A candidate.

    Attributes:
        loops: Every loop, each after the one around it.
        statements: In the order of the program.
    """

    loops: list[Loop] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)
