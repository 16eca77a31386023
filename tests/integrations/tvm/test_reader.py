"""What is read from candidates that are small enough to say it by hand."""

# No `from __future__ import annotations`: TVM's script needs the annotations themselves.

import re
from itertools import product
from math import prod

import pytest

pytest.importorskip("tvm", reason="candidates are TVM's: pip install '.[tvm]'")

import tvm
from tvm import relax, s_tir
from tvm.s_tir import meta_schedule as ms
from tvm.script import tirx as T  # noqa: N812  # as TVM's own scripts have it

from costmodel.errors import UnsupportedModelError
from costmodel.integrations.tvm.candidate import LoopKind, Operations, StatementGraph, read_candidate
from costmodel.integrations.tvm.workloads import find_workload


def read(function) -> StatementGraph:
    return read_candidate(tvm.IRModule({"main": function}))


def random_candidates(name, target, count) -> list:
    """Modules of a workload, scheduled at random."""
    context = ms.TuneContext(
        mod=find_workload(name).module(target),
        target=target,
        space_generator="post-order-apply",
        search_strategy="replay-trace",
        num_threads=1,
        rand_state=1,
    )
    context.pre_tuning(
        max_trials=count,
        num_trials_per_iter=count,
        design_spaces=context.generate_design_space(),
        database=ms.database.MemoryDatabase(),
        cost_model=ms.CostModel.create("random"),
    )
    return [candidate.sch.mod for candidate in context.generate_measure_candidates()]


def allocated_bytes(module) -> list[int]:
    """Sizes of the buffers of 32-bit floats that a module allocates."""
    shapes = re.findall(r"sblock_alloc_buffer\(\((.*?)\)\)", module.script())
    return [4 * prod(int(size) for size in re.findall(r"\((\d+)", shape)) for shape in shapes]


def touched(extents, index, level) -> int:
    """Different elements that ``index`` comes to while the loops from ``level`` inwards run, those around at 0."""
    runs = [range(extent if loop >= level else 1) for loop, extent in enumerate(extents)]
    return len({index(*loops) for loops in product(*runs)})


# --- Loops ---


@T.prim_func(s_tir=True)
def tiled_matmul(a: T.Buffer((16, 32), "float32"), b: T.Buffer((32, 16), "float32"), c: T.Buffer((16, 16), "float32")):
    for i_outer in T.parallel(4):
        for j_outer, once, k in T.grid(2, 1, 32):
            for i_inner in T.unroll(4):
                for j_inner in T.vectorized(8):
                    with T.sblock("c"):
                        i = T.axis.spatial(16, i_outer * 4 + i_inner + once)
                        j = T.axis.spatial(16, j_outer * 8 + j_inner)
                        vk = T.axis.reduce(32, k)
                        with T.init():
                            c[i, j] = T.float32(0)
                        c[i, j] = c[i, j] + a[i, vk] * b[vk, j]


MATMUL_EXTENTS = (4, 2, 32, 4, 8)


def test_loops_are_read_from_the_outermost_without_those_that_run_once():
    loops = read(tiled_matmul).loops

    assert [loop.extent for loop in loops] == list(MATMUL_EXTENTS)
    assert [loop.kind.name for loop in loops] == ["PARALLEL", "SERIAL", "SERIAL", "UNROLLED", "VECTORISED"]
    assert [loop.parent for loop in loops] == [-1, 0, 1, 2, 3]
    assert [loop.depth for loop in loops] == [0, 1, 2, 3, 4]
    assert {loop.unroll_steps for loop in loops} == {0}


@T.prim_func(s_tir=True)
def several_nests(a: T.Buffer((8, 8), "float32"), b: T.Buffer((8, 8), "float32")):
    for i in T.serial(8, annotations={"pragma_auto_unroll_max_step": 64}):
        for j in range(8):
            b[i, j] = a[i, j]
        for j in T.serial(4, annotations={"pragma_auto_unroll_max_step": 16}):
            b[i, j] = a[j, i]
    for thread in T.thread_binding(8, "threadIdx.x"):
        b[0, thread] = a[thread, thread]


def test_nests_side_by_side_and_limits_for_unrolling():
    graph = read(several_nests)

    assert [(loop.parent, loop.depth) for loop in graph.loops] == [(-1, 0), (0, 1), (0, 1), (-1, 0)]
    assert [loop.unroll_steps for loop in graph.loops] == [64, 64, 16, 0]
    assert graph.loops[3].kind is LoopKind.BOUND
    assert [statement.loops for statement in graph.statements] == [(0, 1), (0, 2), (3,)]
    assert [statement.unroll_steps for statement in graph.statements] == [64, 16, 0]


# --- Statements ---


def test_the_start_of_a_reduction_is_a_statement_of_its_own():
    start, update = read(tiled_matmul).statements

    assert start.loops == update.loops == (0, 1, 2, 3, 4)
    assert (start.reduces, start.is_update, start.operations) == ((False,) * 5, False, Operations())
    assert update.reduces == (False, False, True, False, False)
    assert update.is_update
    assert update.operations == Operations(additions=1, products=1)
    assert [access.is_store for access in start.accesses] == [True]
    assert [access.is_store for access in update.accesses] == [False, False, False, True]
    assert not (start.has_condition or update.has_condition)


@T.prim_func(s_tir=True)
def many_operations(a: T.Buffer((8,), "float32"), b: T.Buffer((8,), "float32")):
    for i in range(8):
        b[i] = T.exp(a[i]) / (T.sqrt(T.max(a[i], T.float32(0))) + T.float32(1)) - a[i] * a[i] * a[i]
    for i in range(8):
        b[i] = T.min(T.Select(i < 4, a[i], T.erf(a[7 - i])), T.float32(6))


def test_operations_are_counted_by_sort_and_those_of_indices_are_not():
    first, second = read(many_operations).statements

    assert first.operations == Operations(additions=2, products=2, divisions=1, functions=2, comparisons=1)
    assert len(first.accesses) == 6
    assert second.operations == Operations(functions=1, comparisons=2)
    assert [access.strides.tolist() for access in second.accesses] == [[1], [-1], [1]]


@T.prim_func(s_tir=True)
def padded_convolution(
    image: T.Buffer((6, 6), "float32"), weight: T.Buffer((3, 3), "float32"), out: T.Buffer((6, 6), "float32")
):
    for fused in range(40):
        for p, q in T.grid(3, 3):
            with T.sblock("out"):
                T.where(fused < 36)
                y = T.axis.spatial(6, fused // 6)
                x = T.axis.spatial(6, fused % 6)
                dy, dx = T.axis.remap("RR", [p, q])
                out[y, x] = (
                    out[y, x]
                    + T.if_then_else(
                        y + dy >= 1 and y + dy < 7 and x + dx >= 1 and x + dx < 7,
                        image[y + dy - 1, x + dx - 1],
                        T.float32(0),
                    )
                    * weight[dy, dx]
                )


def test_a_border_is_a_choice_and_no_function():
    (statement,) = read(padded_convolution).statements

    assert statement.operations == Operations(additions=1, products=1, choices=1)


def test_a_fused_loop_that_overruns_has_a_condition_and_divisions_once_a_run():
    (statement,) = read(padded_convolution).statements

    assert statement.has_condition
    assert statement.divisions == ((0, 1), (0, 1)), "of the row and the column, outside of the two inner loops"
    assert statement.reduces == (False, True, True)
    assert statement.decides == (True, True, True), "the first overruns, and all come to the border"
    out, image, weight, _ = statement.accesses
    assert out.strides.tolist() == [1, 0, 0]
    assert image.strides.tolist() == [1, 6, 1]
    assert weight.strides.tolist() == [0, 3, 1]
    assert (image.unique_bytes / 4).tolist() == [36, 9, 3, 1], "no more than there are, at the border"


@T.prim_func(s_tir=True)
def divided_twice(a: T.Buffer((4, 8), "float32"), b: T.Buffer((8, 64), "float32")):
    for i, j, k in T.grid(8, 16, 4):
        b[i, j * 4 + k] = a[(j * 4 + k) // 20, i] + a[(j // 3) % 7 // 2, i] + a[j // 8, i]


def test_divisions_are_done_where_what_they_divide_changes():
    (statement,) = read(divided_twice).statements

    assert sorted(statement.divisions) == [(1, 2), (1, 2), (1, 3)], "those by 2 and 8 are shifts"


@T.prim_func(s_tir=True)
def one_of_two(a: T.Buffer((8,), "float32"), b: T.Buffer((8,), "float32")):
    for i in range(8):
        if i < 4:
            b[i] = a[i]
        else:
            b[i] = T.float32(0)
    for i in range(8):
        b[i] = a[i]


def test_what_is_skipped_now_and_then_has_a_condition():
    statements = read(one_of_two).statements
    assert [statement.has_condition for statement in statements] == [True, True, False]
    assert [statement.decides for statement in statements] == [(True,), (True,), (False,)]


@T.prim_func(s_tir=True)
def padded_rows(a: T.Buffer((6, 8), "float32"), b: T.Buffer((8, 8), "float32")):
    for i, j in T.grid(8, 8):
        b[i, j] = T.if_then_else(T.Not(i < 1 or i >= 7), a[i - 1, j], T.float32(0))


def test_a_border_of_rows_is_decided_by_the_loop_over_rows():
    (statement,) = read(padded_rows).statements

    assert statement.decides == (True, False)
    assert not statement.has_condition, "a choice between values skips nothing"


@T.prim_func(s_tir=True)
def nested_blocks(a: T.Buffer((64, 64), "float32"), b: T.Buffer((64,), "float32")):
    for i_outer, k_outer in T.grid(8, 4):
        with T.sblock("outer"):
            io, ko = T.axis.remap("SR", [i_outer, k_outer])
            for i_inner, k_inner in T.grid(8, 16):
                with T.sblock("inner"):
                    i = T.axis.spatial(64, io * 8 + i_inner)
                    k = T.axis.reduce(64, ko * 16 + k_inner)
                    b[i] = b[i] + a[i, k]


def test_blocks_in_blocks_reduce_along_loops_around_both():
    (statement,) = read(nested_blocks).statements

    assert statement.reduces == (False, True, False, True)
    assert [access.strides.tolist() for access in statement.accesses] == [[8, 0, 1, 0], [512, 16, 64, 1], [8, 0, 1, 0]]


# --- Accesses ---


@T.prim_func(s_tir=True)
def padded_in_tiles(a: T.Buffer((8, 32), "float32"), b: T.Buffer((8, 32), "float32")):
    padded = T.sblock_alloc_buffer((10, 34))
    for i_outer, j_outer in T.grid(2, 8):
        for i, j in T.grid(6, 6):
            with T.sblock("pad"):
                y = T.axis.spatial(10, i_outer * 4 + i)
                x = T.axis.spatial(34, j_outer * 4 + j)
                padded[y, x] = T.if_then_else(y >= 1 and y < 9 and x >= 1 and x < 33, a[y - 1, x - 1], T.float32(0))
        for i, j, k in T.grid(4, 4, 3):
            with T.sblock("sum"):
                y = T.axis.spatial(8, i_outer * 4 + i)
                x = T.axis.spatial(32, j_outer * 4 + j)
                z = T.axis.reduce(3, k)
                b[y, x] = b[y, x] + padded[y + z, x + 2]


def test_a_buffer_is_as_large_as_what_its_uses_touch_within_the_loops_that_they_share():
    padding, summing = read(padded_in_tiles).statements
    written, read_again = padding.accesses[-1], summing.accesses[1]

    assert written.buffer_bytes == read_again.buffer_bytes == 4 * 6 * 6
    assert written.strides.tolist() == [0, 0, 6, 1], "each tile uses the same memory again"
    assert read_again.strides.tolist() == [0, 0, 6, 1, 6]
    assert (written.unique_bytes / 4).tolist() == [36, 36, 36, 6, 1]
    assert padding.accesses[0].strides.tolist() == [128, 4, 32, 1], "an argument stays as it is declared"


@pytest.mark.usefixtures("intrinsics")
def test_buffers_are_as_large_as_tvm_makes_them(target):
    """Of ten random candidates of a convolution with its border and what follows."""
    compile_buffers = tvm.transform.Sequential(
        [
            s_tir.transform.CanonicalizeLoop(),
            s_tir.transform.LowerInitBlock(),
            s_tir.transform.PlanAndUpdateBufferAllocationLocation(),
            s_tir.transform.ConvertBlocksToOpaque(),
            s_tir.transform.CompactBufferAllocation(),
        ]
    )
    for module in random_candidates("conv3x3-40x32x32-12-relu", target, 10):
        ours = {
            access.buffer: access.buffer_bytes
            for statement in read_candidate(module).statements
            for access in statement.accesses
            if not access.is_argument
        }
        assert sorted(ours.values()) == sorted(allocated_bytes(compile_buffers(module))), module.script()


def test_strides_bytes_and_lines_of_a_tiled_matmul():
    """Rows of ``a`` are two lines of 64 bytes long, those of ``b`` and ``c`` one."""
    c_read, a, b, c_written = read(tiled_matmul).statements[1].accesses

    assert a.strides.tolist() == [128, 0, 1, 32, 0]
    assert b.strides.tolist() == [0, 8, 16, 0, 1]
    assert c_read.strides.tolist() == c_written.strides.tolist() == [64, 8, 0, 16, 1]
    assert a.lines.tolist() == [32, 8, 8, 4, 1, 1]
    assert b.lines.tolist() == [32, 32, 32, 1, 1, 1]
    assert c_written.lines.tolist() == [16, 4, 4, 4, 1, 1]
    assert (a.buffer_bytes, b.buffer_bytes, c_written.buffer_bytes) == (2048, 2048, 1024)


@pytest.mark.parametrize(
    ("place", "index"),
    [
        (0, lambda io, jo, k, ii, ji: (io * 4 + ii, jo * 8 + ji)),
        (1, lambda io, jo, k, ii, ji: (io * 4 + ii, k)),
        (2, lambda io, jo, k, ii, ji: (k, jo * 8 + ji)),
    ],
)
def test_bytes_of_a_tiled_matmul_are_those_of_the_elements_it_comes_to(place, index):
    access = read(tiled_matmul).statements[1].accesses[place]

    expected = [4 * touched(MATMUL_EXTENTS, index, level) for level in range(6)]
    assert access.unique_bytes.tolist() == expected


@T.prim_func(s_tir=True)
def convolution(image: T.Buffer((4, 10, 12), "float32"), out: T.Buffer((8, 10), "float32")):
    for y, x_outer, c, dy, dx, x_inner in T.grid(8, 2, 4, 3, 3, 5):
        out[y, x_outer * 5 + x_inner] = out[y, x_outer * 5 + x_inner] + image[
            c, y + dy, x_outer * 5 + x_inner + dx
        ] * T.float32(2)


def test_bytes_of_a_convolution_are_those_of_the_elements_it_comes_to():
    image = read(convolution).statements[0].accesses[1]

    expected = [
        4 * touched((8, 2, 4, 3, 3, 5), lambda y, xo, c, dy, dx, xi: (c, y + dy, xo * 5 + xi + dx), level)
        for level in range(7)
    ]
    assert image.unique_bytes.tolist() == expected
    assert image.strides.tolist() == [12, 5, 120, 12, 1, 1]


@T.prim_func(s_tir=True)
def through_a_cache(a: T.Buffer((8,), "float32"), b: T.Buffer((8,), "float32")):
    cache = T.sblock_alloc_buffer((8,))
    for i in range(8):
        cache[i] = a[i]
    for i in range(8):
        b[i] = cache[i]


def test_buffers_are_told_apart_and_those_from_outside_are_arguments():
    first, second = read(through_a_cache).statements

    (a, cache_written), (cache_read, b) = first.accesses, second.accesses
    assert cache_written.buffer == cache_read.buffer
    assert len({a.buffer, cache_read.buffer, b.buffer}) == 3
    assert not (first.is_update or second.is_update), "each reads another buffer than it writes"
    assert [access.is_argument for access in (a, cache_written, cache_read, b)] == [True, False, False, True]


@T.prim_func(s_tir=True)
def short_rows(a: T.Buffer((8, 4, 3), "float32"), b: T.Buffer((8, 2), "float32")):
    for i, j in T.grid(8, 2):
        b[i, j] = a[i, j, 0]


def test_lines_run_on_through_whole_rows_and_are_no_more_than_lie_between_the_first_and_the_last():
    (statement,) = read(short_rows).statements
    load, store = statement.accesses

    assert store.lines.tolist() == [1, 1, 1], "sixteen floats one after the other"
    assert load.lines.tolist() == [6, 1, 1], "88 floats from the first to the last"


@T.prim_func(s_tir=True)
def running_sum(a: T.Buffer((16,), "float32")):
    for i in range(15):
        a[i + 1] = a[i] + T.float32(1)


def test_a_statement_that_reads_the_element_before_the_one_it_writes_is_no_update():
    (statement,) = read(running_sum).statements

    assert not statement.is_update
    assert [access.first for access in statement.accesses] == [0, 1]


@T.prim_func(s_tir=True)
def mixed_types(a: T.Buffer((8, 16), "int8"), b: T.Buffer((8, 16), "float64"), c: T.Buffer((8, 16), "float16")):
    for i, j in T.grid(8, 16):
        c[i, j] = T.Cast("float16", T.Cast("float64", a[i, j]) + b[i, j])


def test_bytes_go_by_the_type():
    (statement,) = read(mixed_types).statements

    assert [access.item_bytes for access in statement.accesses] == [1, 8, 2]
    assert [access.unique_bytes.tolist() for access in statement.accesses] == [
        [128, 16, 1],
        [1024, 128, 8],
        [256, 32, 2],
    ]
    assert [access.lines.tolist() for access in statement.accesses] == [[2, 1, 1], [16, 2, 1], [4, 1, 1]]


@T.prim_func(s_tir=True)
def gathered(rows: T.Buffer((8,), "int32"), table: T.Buffer((100, 4), "float32"), out: T.Buffer((8, 4), "float32")):
    for i, j in T.grid(8, 4):
        out[i, j] = table[rows[i], j]


def test_an_index_that_data_decides_moves_nothing_as_far_as_is_known():
    table, out = read(gathered).statements[0].accesses

    assert table.strides.tolist() == [0, 1]
    assert out.strides.tolist() == [4, 1]


def test_a_reduction_to_one_number():
    """TVM writes the sum of a whole tensor to a buffer without dimensions."""
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((4, 8), "float32"))
    with builder.function("main", [x]):
        builder.emit_func_output(builder.emit(relax.op.sum(x)))
    module = relax.transform.LegalizeOps()(builder.get())
    (function,) = (found for found in module.functions.values() if isinstance(found, tvm.tirx.PrimFunc))

    start, update = read(function).statements
    assert update.reduces == (True, True)
    assert update.is_update
    assert start.accesses[0].strides.tolist() == [0, 0]
    assert start.accesses[0].unique_bytes.tolist() == [4, 4, 4]
    assert start.accesses[0].lines.tolist() == [1, 1, 1]


# --- What is no candidate ---


def test_modules_without_a_function_of_tir_or_with_two_are_refused():
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((4,), "float32"))
    with builder.function("main", [x]):
        builder.emit_func_output(builder.emit(relax.op.abs(x)))

    with pytest.raises(UnsupportedModelError, match="one function of TIR, got 0"):
        read_candidate(builder.get())
    with pytest.raises(UnsupportedModelError, match="one function of TIR, got 2"):
        read_candidate(tvm.IRModule({"main": one_of_two, "other": mixed_types}))
