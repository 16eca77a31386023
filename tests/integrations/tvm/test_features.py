"""What moves between registers, caches and memory in a small matmul, counted by hand; and the rows that the model sees.

Candidates are put together here without TVM, so that every number in them is in sight.
"""

from __future__ import annotations

from dataclasses import replace
from enum import IntEnum

import numpy as np
import pytest

pytest.importorskip("tvm", reason="the package of TVM's candidates needs TVM: pip install '.[tvm]'")

from costmodel.features import GraphFeatures
from costmodel.integrations.tvm.candidate import (
    NUM_FEATURES,
    WORK_TERMS,
    Access,
    Loop,
    LoopKind,
    NodeType,
    Operations,
    Statement,
    StatementGraph,
    candidate_features,
    candidate_schema_hash,
    features,
)
from costmodel.integrations.tvm.candidate.nests import Nests
from costmodel.integrations.tvm.candidate.traffic import Traffic

A, B, C, D = range(4)


def access(buffer: int, strides: list[int], items: list[int], lines: list[int], *, is_store: bool = False) -> Access:
    """Of a buffer of float32 that the loops go over once: ``items`` and ``lines`` by the outermost loop that runs."""
    item_bytes = 4
    return Access(
        buffer,
        is_store,
        item_bytes,
        float(items[0] * item_bytes),
        buffer != C,
        0.0,
        np.array(strides, dtype=np.float64),
        np.array(items, dtype=np.float64) * item_bytes,
        np.array(lines, dtype=np.float64),
    )


def update(loops: tuple[int, ...] = (0, 1, 2), unroll_steps: int = 0) -> Statement:
    """``c[i, j] += a[i, k] * b[k, j]`` for 8 of i, 32 of k and 16 of j, whose rows are lines of their own."""
    c = [16, 0, 1], [128, 16, 16, 1], [8, 1, 1, 1]
    return Statement(
        loops,
        (False, True, False),
        (False, False, False),
        Operations(additions=1, products=1),
        ((0, 1), (0, 2)),
        (
            access(C, *c),
            access(A, [32, 1, 0], [256, 32, 1, 1], [16, 2, 1, 1]),
            access(B, [0, 16, 1], [512, 512, 16, 1], [32, 32, 1, 1]),
            access(C, *c, is_store=True),
        ),
        is_update=True,
        has_condition=False,
        unroll_steps=unroll_steps,
    )


def matmul_loops(inner: LoopKind = LoopKind.VECTORISED) -> list[Loop]:
    kinds = LoopKind.PARALLEL, LoopKind.SERIAL, inner
    return [
        Loop(depth - 1, depth, extent, kind, 0)
        for depth, (extent, kind) in enumerate(zip((8, 32, 16), kinds, strict=True))
    ]


def traffic_of(statement: Statement, loops: list[Loop]) -> Traffic:
    return Traffic(Nests.of([StatementGraph(loops, [statement])]))


def matmul_traffic(inner: LoopKind = LoopKind.VECTORISED, unroll_steps: int = 0) -> Traffic:
    return traffic_of(update(unroll_steps=unroll_steps), matmul_loops(inner))


# --- Traffic ---


def test_a_nest_has_the_outermost_loop_first():
    traffic = matmul_traffic()

    assert traffic.nests.extents.tolist() == [[8, 32, 16]]
    assert traffic.nests.outside.tolist() == [[1, 8, 256, 4096]]
    assert traffic.nests.inside.tolist() == [[4096, 512, 16, 1]]
    assert traffic.unrolled.tolist() == [[False, False, True]]
    assert traffic.is_contiguous.tolist() == [True, False, True, True]


@pytest.mark.parametrize(
    ("extent", "kind", "lanes", "executions", "vector_executions"),
    [
        (16, LoopKind.VECTORISED, 16, 256, 256),
        (64, LoopKind.VECTORISED, 16, 256, 1024),
        (4, LoopKind.VECTORISED, 4, 256, 256),
        (12, LoopKind.VECTORISED, 12, 256, 256),
        (24, LoopKind.VECTORISED, 12, 256, 512),  # in two halves, each padded
        (16, LoopKind.SERIAL, 1, 4096, 4096),
    ],
)
def test_a_vector_is_so_many_instructions(extent, kind, lanes, executions, vector_executions):
    loops = matmul_loops(kind)
    loops[2] = replace(loops[2], extent=extent)
    found = traffic_of(update(), loops)

    assert (found.lanes, found.executions, found.vector_executions) == (lanes, executions, vector_executions)


@pytest.mark.parametrize(
    ("inner", "steps", "unrolled", "counted"),
    [
        (LoopKind.VECTORISED, 0, [False, False, True], 8 + 8 * 32),
        (LoopKind.VECTORISED, 31, [False, False, True], 8 + 8 * 32),
        (LoopKind.VECTORISED, 32, [False, True, True], 8),
        (LoopKind.SERIAL, 0, [False, False, False], 8 + 8 * 32 + 8 * 32 * 16),
        (LoopKind.SERIAL, 16, [False, False, True], 8 + 8 * 32),
        (LoopKind.UNROLLED, 0, [False, False, True], 8 + 8 * 32),
        (LoopKind.SERIAL, 4096, [False, True, True], 8),  # a parallel loop is never unrolled
    ],
)
def test_loops_are_unrolled_from_the_innermost_up_to_the_limit_and_others_count_their_steps(
    inner, steps, unrolled, counted
):
    traffic = matmul_traffic(inner, steps)

    assert traffic.unrolled.tolist() == [unrolled]
    assert traffic.loop_steps == counted


def test_a_row_of_the_result_stays_in_registers_while_its_sum_grows():
    """A run of k needs 196 bytes, all of k with 2304 is too much: c is loaded and stored once for each i."""
    assert matmul_traffic().register_transfers.tolist() == [8, 256, 256, 8]


def test_without_vectors_only_what_the_innermost_loop_does_not_move_stays():
    assert matmul_traffic(LoopKind.SERIAL).register_transfers.tolist() == [4096, 256, 4096, 4096]


def test_unrolled_loops_keep_what_fits():
    """With j unrolled, all 16 elements of c stay while k runs; with k too, b would need room for 512."""
    for steps in (16, 512):
        assert matmul_traffic(LoopKind.SERIAL, steps).register_transfers.tolist() == [128, 256, 4096, 128]


def test_the_footprint_counts_a_buffer_once():
    lines = [8 + 16 + 32, 1 + 2 + 32, 3, 3]

    assert matmul_traffic().footprint_bytes.tolist() == [[64 * count for count in lines]]


@pytest.mark.parametrize(
    ("cache_bytes", "expected"),
    [
        (3584, [8, 16, 32, 8]),  # everything fits and is fetched once
        (2240, [8, 16, 32, 8]),  # b stays while i runs
        (2239, [8, 256, 256, 8]),  # only a row of c stays, while k runs
        (192, [8, 256, 256, 8]),
        (191, [4096, 256, 4096, 4096]),  # nothing stays but an element of a
    ],
)
def test_lines_that_a_cache_fetches(cache_bytes, expected):
    assert matmul_traffic().misses(cache_bytes).tolist() == expected


@pytest.mark.parametrize(
    ("divisions", "steps", "divided"),
    [
        ((), 0, 0),
        (((0, 0), (0, 1), (0, 2), (0, 3)), 0, 8 + 256 + 4096),  # a constant is known
        # Where all loops that move it are written out: the vector in the first, all of the row in the second.
        (((2, 3), (1, 3)), 0, 4096),
        (((2, 3), (1, 3)), 32, 0),
    ],
)
def test_divisions_are_done_as_often_as_the_loops_around_them_run_unless_the_compiler_knows_them(
    divisions, steps, divided
):
    statement = replace(update(unroll_steps=steps), divisions=divisions)

    assert traffic_of(statement, matmul_loops()).divided == divided


@pytest.mark.parametrize(("extent", "each"), [(16, 16), (7, 7 / 3), (49, 49 / 4), (24, 12), (12, 6)])
def test_what_is_no_power_of_two_is_transferred_in_parts(extent, each):
    loops = matmul_loops()
    loops[2] = replace(loops[2], extent=extent)

    assert traffic_of(update(), loops).lanes_of_transfers == pytest.approx(each)


def test_a_statement_without_loops():
    alone = Statement((), (), (), Operations(), (), (access(D, [], [1], [1], is_store=True),), False, False, 0)
    traffic = traffic_of(alone, [])

    assert (traffic.executions, traffic.lanes, traffic.loop_steps) == (1, 1, 0)
    assert traffic.register_transfers.tolist() == [1]
    assert traffic.misses(32e3).tolist() == [1]


# --- Rows and edges ---


def start() -> Statement:
    """``c[i, j] = 0``, in loops 3 and 4."""
    store = access(C, [16, 1], [128, 16, 1], [8, 1, 1], is_store=True)
    return Statement((3, 4), (False, False), (False, False), Operations(), (), (store,), False, False, 0)


def epilogue() -> Statement:
    """``d[i, j] = max(c[i, j], 0)``, under the same i as the update."""
    c = access(C, [16, 1], [128, 16, 1], [8, 1, 1])
    d = access(D, [16, 1], [128, 16, 1], [8, 1, 1], is_store=True)
    return Statement((0, 5), (False, False), (False, False), Operations(comparisons=1), (), (c, d), False, True, 0)


def candidate() -> StatementGraph:
    """A matmul whose result is set to zero before, in a nest of its own, and rectified after."""
    others = [
        Loop(-1, 0, 8, LoopKind.SERIAL, 0),
        Loop(3, 1, 16, LoopKind.UNROLLED, 0),
        Loop(0, 1, 16, LoopKind.BOUND, 0),
    ]
    return StatementGraph([*matmul_loops(), *others], [start(), update(), epilogue()])


STATEMENT_ROWS = [6, 8, 13]


def features_of(graph: StatementGraph) -> GraphFeatures:
    (found,) = candidate_features([graph])
    return found


def column(rows: np.ndarray, kind: tuple[str, ...], name: str) -> np.ndarray:
    starts = {
        features._LOOP_NAMES: features._LOOPS_AT,
        features._STATEMENT_NAMES: features._STATEMENTS_AT,
        features._ACCESS_NAMES: features._ACCESSES_AT,
    }
    return rows[:, starts[kind] + kind.index(name)]


def size(logarithm: float) -> float:
    """A size from its feature."""
    return 2 ** (8 * logarithm) - 1


def test_loops_come_first_then_each_statement_with_its_accesses():
    found = features_of(candidate())

    assert [NodeType(kind).name for kind in found.op_types] == [
        *("PARALLEL_LOOP", "SERIAL_LOOP", "VECTORISED_LOOP", "SERIAL_LOOP", "UNROLLED_LOOP", "BOUND_LOOP"),
        *("STATEMENT", "STORE"),
        *("STATEMENT", "LOAD", "LOAD", "LOAD", "STORE"),
        *("STATEMENT", "LOAD", "STORE"),
    ]
    rows = len(found.op_types)
    assert found.tokens.shape == (rows, NUM_FEATURES)
    assert found.work.shape == (rows, len(WORK_TERMS))
    assert (found.tokens.dtype, found.work.dtype) == (np.float32, np.float32)
    assert found.op_index.tolist() == list(range(rows))
    assert not found.kernels.any()
    assert found.batch == 1


def test_candidates_look_the_same_whatever_stands_beside_them():
    """Nests of other depths, one of none, and a candidate without statements."""
    alone = Statement((), (), (), Operations(), (), (access(D, [], [1], [1], is_store=True),), False, False, 0)
    graphs = [
        candidate(),
        StatementGraph(matmul_loops(), [update()]),
        StatementGraph(),
        StatementGraph([], [alone]),
        StatementGraph([Loop(-1, 0, 8, LoopKind.SERIAL, 0)], []),
        candidate(),
    ]

    for found, graph in zip(candidate_features(graphs), graphs, strict=True):
        expected = features_of(graph)
        for name in ("op_types", "tokens", "work", "edges", "op_index"):
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert candidate_features([]) == []


def test_edges_follow_nesting_and_data():
    found = features_of(candidate())

    nesting = [(0, 1), (0, 5), (1, 2), (3, 4), (4, 6), (2, 8), (5, 13)]
    within = [(6, 7), (8, 9), (8, 10), (8, 11), (9, 12), (10, 12), (11, 12), (13, 14), (14, 15)]
    between = [(7, 9), (12, 14)]  # of c only, and from the last store before
    assert [tuple(edge) for edge in found.edges] == sorted([*nesting, *within, *between])
    assert (found.edges[:, 0] < found.edges[:, 1]).all()


def test_only_statements_do_work_and_theirs_is_what_was_counted():
    work = features_of(candidate()).work * 1e6

    others = np.delete(work, STATEMENT_ROWS, axis=0)
    assert not others.any()
    assert dict(zip(WORK_TERMS, work[8].round().tolist(), strict=True)) == {
        "vector operations": 2 * 256,
        "functions and divisions": 0,
        "transfers to registers": 8 + 256 + 256 + 8,
        "lines into a cache of 3e+04 bytes": 8 + 16 + 32 + 8,
        "lines into a cache of 1e+06 bytes": 8 + 16 + 32 + 8,
        "lines into a cache of 2e+07 bytes": 8 + 16 + 32 + 8,
        "steps of loops": 8 + 256,
        "integer divisions": 8 + 256,
        "executions": 256,
        "pieces of vectors": 0,
        "spilled vectors": 0,
    }


def test_functions_and_divisions_are_work_of_their_own():
    graph = candidate()
    graph.statements[2] = replace(graph.statements[2], operations=Operations(functions=2, divisions=1, choices=1))

    assert features_of(graph).work[13, :2].tolist() == pytest.approx([0, 3 * 128e-6])


def test_vectors_that_are_taken_to_pieces_are_work():
    graph = candidate()
    graph.loops[1:3] = [replace(graph.loops[1], extent=64), replace(graph.loops[2], extent=48)]

    work = dict(zip(WORK_TERMS, (features_of(graph).work[8] * 1e6).round().tolist(), strict=True))
    assert work["pieces of vectors"] == 8 * 64 * 16, "elements of a row of c, after each step"
    assert work["spilled vectors"] == 0


def test_numbers_of_loops_statements_and_accesses_are_where_their_names_say():
    """The last name of each kind too: none is missing, and none reaches into the columns of the next."""
    tokens = features_of(candidate()).tokens
    loops, statements, accesses = features._LOOP_NAMES, features._STATEMENT_NAMES, features._ACCESS_NAMES

    assert size(column(tokens, loops, "extent")[1]) == pytest.approx(32)
    assert size(column(tokens, loops, "runs outside")[1]) == pytest.approx(8)
    assert size(column(tokens, loops, "runs inside")[1]) == pytest.approx(16)
    assert size(column(tokens, loops, "statements inside")[0]) == pytest.approx(2)
    assert size(column(tokens, loops, "accesses by more")[1]) == pytest.approx(1), "b"
    assert column(tokens, loops, "reduces")[:6].tolist() == [0, 1, 0, 0, 0, 0]
    assert column(tokens, statements, "additions")[8] == pytest.approx(1 / 2), "log2(1 + 1), halved"
    assert column(tokens, statements, "has condition")[STATEMENT_ROWS].tolist() == [0, 0, 1]
    assert column(tokens, statements, "is update")[STATEMENT_ROWS].tolist() == [0, 1, 0]
    assert [size(column(tokens, statements, f"extent of loop {place}")[8]) for place in range(4)] == pytest.approx(
        [16, 32, 8, 0]
    )
    assert size(column(tokens, statements, "bytes within 1 loops")[8]) == pytest.approx(3 * 64)
    assert size(column(tokens, statements, "executions")[8]) == pytest.approx(256)
    assert column(tokens, accesses, "item bytes")[9] == 1
    assert column(tokens, accesses, "is argument")[9:13].tolist() == [0, 1, 1, 0]
    assert size(column(tokens, accesses, "transfers")[10]) == pytest.approx(256)
    assert [size(column(tokens, accesses, f"stride along loop {place}")[10]) for place in range(4)] == pytest.approx(
        [0, 1, 32, 0]
    )
    assert [column(tokens, accesses, f"still along loop {place}")[10] for place in range(3)] == [1, 0, 0]
    assert size(column(tokens, accesses, "reusing loop")[9]) == pytest.approx(2), "k, for c"
    assert size(column(tokens, accesses, "its extent")[9]) == pytest.approx(32)
    assert size(column(tokens, accesses, "bytes until reuse")[9]) == pytest.approx(3 * 64)


def test_rows_of_a_kind_have_columns_of_their_own():
    found = features_of(candidate())
    is_statement = found.op_types == NodeType.STATEMENT
    is_access = found.op_types > NodeType.STATEMENT
    kinds = [~(is_statement | is_access), is_statement, is_access]

    used = np.array([(found.tokens[rows] != 0).any(axis=0) for rows in kinds])
    assert (used.sum(axis=0) <= 1).all()
    assert used.any(axis=1).all()


def test_no_column_is_empty():
    """Four unrolled loops of two, along each of which one load moves by one, fill what the matmul does not.

    Then there are sums in vectors of no register's width, more than there are registers.
    """
    loops = [Loop(depth - 1, depth, 2, LoopKind.SERIAL, 64) for depth in range(4)]
    loads = [access(A, np.roll([1, 2, 4, 8], place).tolist(), [16, 8, 4, 2, 1], [1] * 5) for place in range(4)]
    store = access(D, [0, 0, 0, 0], [1] * 5, [1] * 5, is_store=True)
    operations = Operations(additions=1, products=1, divisions=1, functions=1, comparisons=1, choices=1)
    statement = Statement(
        (0, 1, 2, 3), (True,) * 4, (True,) * 4, operations, ((0, 4),), (*loads, store), False, False, 64
    )

    nest = [(100, LoopKind.SERIAL), (16, LoopKind.SERIAL), (48, LoopKind.VECTORISED)]
    around = [Loop(depth - 1, depth, extent, kind, 0) for depth, (extent, kind) in enumerate(nest)]
    sums = access(D, [0, 48, 1], [768, 768, 48, 1], [48, 48, 3, 1])
    stored = replace(sums, is_store=True)
    summing = Statement(
        (0, 1, 2), (True, False, False), (False, False, False), operations, (), (sums, stored), True, False, 0
    )

    graphs = candidate(), StatementGraph(loops, [statement]), StatementGraph(around, [summing])
    used = [(features_of(graph).tokens != 0).any(axis=0) for graph in graphs]
    assert np.any(used, axis=0).all()


def test_candidates_that_differ_in_one_thing_look_different():
    graph = candidate()
    plain = features_of(graph).tokens
    vector = graph.loops[2]
    changed = [
        StatementGraph([*graph.loops[:2], replace(vector, kind=LoopKind.SERIAL), *graph.loops[3:]], graph.statements),
        StatementGraph(graph.loops, [start(), update(unroll_steps=64), epilogue()]),
        StatementGraph(graph.loops, [start(), replace(update(), has_condition=True), epilogue()]),
        StatementGraph(graph.loops, [start(), replace(update(), reduces=(False,) * 3), epilogue()]),
    ]

    assert all((features_of(other).tokens != plain).any() for other in changed)


def test_everything_is_finite_however_large_or_small():
    huge = [replace(loop, extent=10**6) for loop in candidate().loops]
    alone = Statement((), (), (), Operations(), (), (access(D, [], [1], [1], is_store=True),), False, False, 0)

    for graph in (StatementGraph(huge, candidate().statements), StatementGraph([], [alone]), StatementGraph()):
        found = features_of(graph)
        assert np.isfinite(found.tokens).all()
        assert np.isfinite(found.work).all()
        assert found.tokens.shape == (
            len(graph.loops) + sum(1 + len(s.accesses) for s in graph.statements),
            NUM_FEATURES,
        )
        assert found.edges.shape[1] == 2


@pytest.mark.parametrize("names", ["_LOOP_NAMES", "_STATEMENT_NAMES", "_ACCESS_NAMES"])
def test_the_schema_changes_with_names_and_their_order(names, monkeypatch):
    before = candidate_schema_hash()
    assert candidate_schema_hash() == before

    known = getattr(features, names)
    for changed in ((*known, "another"), known[::-1], known[:-1]):
        monkeypatch.setattr(features, names, changed)
        assert candidate_schema_hash() != before


def test_the_schema_changes_with_the_version_and_the_types_of_rows(monkeypatch):
    hashes = {candidate_schema_hash()}

    monkeypatch.setattr(features, "_VERSION", features._VERSION + 1)
    hashes.add(candidate_schema_hash())
    monkeypatch.setattr(features, "NodeType", IntEnum("NodeType", ["LOOP", "STATEMENT", "ACCESS"]))
    hashes.add(candidate_schema_hash())
    assert len(hashes) == 3
