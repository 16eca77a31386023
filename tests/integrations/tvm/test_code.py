"""What LLVM makes of inner loops, for small nests whose machine code was looked at."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("tvm", reason="the package of TVM's candidates needs TVM: pip install '.[tvm]'")

from costmodel.integrations.tvm.candidate import Access, Loop, LoopKind, Operations, Statement, StatementGraph
from costmodel.integrations.tvm.candidate.code import InnerCode, stack_buffers
from costmodel.integrations.tvm.candidate.nests import Nests

SUM, TERM, OUT = range(3)
ROWS, STEPS = 7, 64


def access(buffer: int, strides: list[int], extents: list[int], *, is_store: bool = False) -> Access:
    """Of float32, each element once; ``SUM`` is made here, the others are arguments."""
    touched = np.where(np.array(strides) != 0, extents, 1)
    items = np.concatenate([np.cumprod(touched[::-1])[::-1], [1]]).astype(np.float64)
    return Access(
        buffer,
        is_store,
        item_bytes=4,
        buffer_bytes=float(4 * items[0]),
        is_argument=buffer != SUM,
        first=0.0,
        strides=np.array(strides, dtype=np.float64),
        unique_bytes=4 * items,
        lines=np.ceil(items / 16),
    )


def statement(loops: list[int], extents: list[int], strides: dict[int, list[int]], **how: bool | int) -> Statement:
    """Adds ``TERM`` to ``SUM``, or writes ``SUM`` to ``OUT``; the last buffer of ``strides`` is written."""
    *_, written = strides
    found = {buffer: access(buffer, of_one, extents) for buffer, of_one in strides.items()}
    is_update = bool(how.pop("is_update", True))
    accesses = [*found.values()] if is_update else [*found.values()][:-1]
    return Statement(
        tuple(loops),
        tuple(stride == 0 for stride in strides[written]),
        (False,) * len(loops),
        Operations(additions=1),
        (),
        (*accesses, access(written, strides[written], extents, is_store=True)),
        is_update=is_update,
        has_condition=False,
        unroll_steps=int(how.pop("unroll_steps", 0)),
    )


def loops(extents: list[int], innermost: LoopKind) -> list[Loop]:
    """One in the other."""
    kinds = [LoopKind.SERIAL] * (len(extents) - 1) + [innermost]
    return [
        Loop(depth - 1, depth, extent, kind, 0) for depth, (extent, kind) in enumerate(zip(extents, kinds, strict=True))
    ]


def summing(width: int, rows: int = ROWS, *, row_stride: int | None = None, copy_width: int = 0) -> StatementGraph:
    """``for step: for row: sum[row, :] += term[step, row, :]`` in vectors, and perhaps what reads the sums."""
    extents = [STEPS, rows, width]
    around = loops(extents, LoopKind.VECTORISED)
    stride = width if row_stride is None else row_stride
    strides = {TERM: [rows * width, width, 1], SUM: [0, stride, 1]}
    statements = [statement([0, 1, 2], extents, strides)]
    if copy_width:
        copied = [rows * width // copy_width, copy_width]
        around += [Loop(-1, 0, copied[0], LoopKind.SERIAL, 0), Loop(3, 1, copied[1], LoopKind.VECTORISED, 0)]
        copies = {SUM: [copy_width, 1], OUT: [copy_width, 1]}
        statements.append(statement([3, 4], copied, copies, is_update=False))
    return StatementGraph(around, statements)


def code_of(graph: StatementGraph) -> InnerCode:
    """Of the first statement."""
    nests = Nests.of([StatementGraph(graph.loops, graph.statements[:1])])
    return InnerCode(nests, [stack_buffers(graph)])


@pytest.mark.parametrize("width", [18, 24, 36, 48])
def test_sums_in_vectors_that_no_register_holds_are_taken_to_pieces_in_each_step(width: int) -> None:
    code = code_of(summing(width))
    assert code.carries
    assert code.is_taken_to_pieces
    assert code.pieces == STEPS * ROWS * width


@pytest.mark.parametrize("width", [4, 7, 14, 16, 32, 64])
def test_powers_of_two_and_what_fits_one_register_stay_whole(width: int) -> None:
    code = code_of(summing(width))
    assert code.carries
    assert not code.is_taken_to_pieces
    assert code.pieces == 0
    assert code.elements == ROWS * width
    assert code.registers == ROWS * np.ceil(width / 16)


def test_vectors_of_a_loop_that_moves_on_are_stored_whole() -> None:
    code = code_of(summing(48, rows=100))  # too many rows to write out: no vector lives longer than one of them
    assert not code.carries
    assert code.pieces == code.spills == 0
    assert code.steps == 1
    assert code.runs == STEPS * 100


def test_a_small_buffer_is_one_vector_as_wide_as_its_widest_use() -> None:
    copied_by_row, copied_at_once = summing(7, copy_width=7), summing(7, copy_width=49)
    assert stack_buffers(copied_by_row)[SUM].width == 7
    assert stack_buffers(copied_at_once)[SUM].width == 49
    assert code_of(copied_by_row).pieces == 0
    assert code_of(copied_at_once).is_taken_to_pieces


def test_a_buffer_beyond_a_kilobyte_is_not_on_the_stack() -> None:
    assert SUM in stack_buffers(summing(16, rows=16, copy_width=16))
    assert SUM not in stack_buffers(summing(16, rows=17, copy_width=16))
    assert not code_of(summing(14, rows=28, copy_width=98)).is_taken_to_pieces


def test_arguments_are_never_on_the_stack() -> None:
    assert set(stack_buffers(summing(7, copy_width=7))) == {SUM}


def test_more_sums_than_registers_are_spilled() -> None:
    assert code_of(summing(32, rows=14)).spills == 0
    assert code_of(summing(32, rows=16)).spills == STEPS * (32 - 28)


def test_loops_beyond_forty_steps_are_written_out_if_tvm_is_told_to() -> None:
    extents = [STEPS, 64, 16]
    strides = {TERM: [1024, 16, 1], SUM: [0, 16, 1]}
    around = loops(extents, LoopKind.VECTORISED)
    told = statement([0, 1, 2], extents, strides, unroll_steps=64)
    untold = statement([0, 1, 2], extents, strides)
    assert code_of(StatementGraph(around, [told])).steps == 64
    assert code_of(StatementGraph(around, [untold])).steps == 1


@pytest.mark.parametrize(
    ("inner", "term", "total", "lanes", "inside"),
    [
        (20, [64, 1], [0, 1], 16, 1),  # the innermost loop writes one after the other
        (20, [64, 2], [0, 1], 1, 0),  # ... but reads every second
        (20, [1, 64], [1, 0], 16, 20),  # sums of a column, which are written out within a row
        (41, [1, 64], [1, 0], 1, 0),  # ... unless they are too long
    ],
)
def test_lanes_that_a_compiler_finds(inner: int, term: list[int], total: list[int], lanes: int, inside: int) -> None:
    extents = [STEPS, inner]
    nest = statement([0, 1], extents, {TERM: term, SUM: total})
    code = code_of(StatementGraph(loops(extents, LoopKind.SERIAL), [nest]))
    assert code.lanes == lanes
    assert code.steps_inside == inside
