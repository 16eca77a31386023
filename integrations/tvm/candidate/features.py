"""StatementGraph → the numbers that the model sees: a row for each loop, statement and access."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from enum import IntEnum

import numpy as np
from jaxtyping import Float, Shaped

from costmodel.features import GraphFeatures
from costmodel.integrations.tvm.candidate.code import InnerCode, stack_buffers
from costmodel.integrations.tvm.candidate.statement_graph import LoopKind, Statement, StatementGraph
from costmodel.integrations.tvm.candidate.traffic import CACHE_BYTES, Nest

__all__ = ["NUM_FEATURES", "WORK_TERMS", "NodeType", "candidate_features", "candidate_schema_hash"]


class NodeType(IntEnum):
    """What a row stands for; takes the place of an operation's type."""

    SERIAL_LOOP = 1
    PARALLEL_LOOP = 2
    VECTORISED_LOOP = 3
    UNROLLED_LOOP = 4
    BOUND_LOOP = 5
    STATEMENT = 6
    LOAD = 7
    STORE = 8


_LOOP_TYPES = {
    LoopKind.SERIAL: NodeType.SERIAL_LOOP,
    LoopKind.PARALLEL: NodeType.PARALLEL_LOOP,
    LoopKind.VECTORISED: NodeType.VECTORISED_LOOP,
    LoopKind.UNROLLED: NodeType.UNROLLED_LOOP,
    LoopKind.BOUND: NodeType.BOUND_LOOP,
}

_INNER = 4
"""Loops that are described one by one, from the innermost."""

_LEVELS = 7
"""Sizes of what inner loops touch: of none of them, of the innermost ..."""

WORK_TERMS = (
    "vector operations",
    "functions and divisions",
    "transfers to registers",
    *(f"lines into a cache of {size:.0e} bytes" for size in CACHE_BYTES),
    "steps of loops",
    "integer divisions",
    "executions",
    "pieces of vectors",
    "spilled vectors",
)
"""What a statement costs time with, all in millions."""

_LOOP_NAMES = (
    *("extent", "runs outside", "runs inside", "unroll limit", "is unrolled", "depth", "height", "reduces"),
    *(
        "bytes of all runs",
        "bytes of one run",
        "statements inside",
        "accesses still",
        "accesses by one",
        "accesses by more",
    ),
)
_STATEMENT_NAMES = (
    *("additions", "products", "divisions", "functions", "comparisons", "choices", "lanes", "lanes of transfers"),
    *("is update", "has condition", "runs", "vector width", "unroll limit", "unrolled product", "loads", "loops"),
    *(f"{what} of loop {place}" for what in ("extent", "reduction", "unrolling") for place in range(_INNER)),
    *(f"bytes within {level} loops" for level in range(_LEVELS)),
    *("carries", "is taken to pieces", "is on the stack", "copies of it", "registers", "lanes found", "copies inside"),
    *WORK_TERMS,
)
_ACCESS_NAMES = (
    *("item bytes", "buffer bytes", "is argument", "is contiguous", "transfers", "misses 1", "misses 2", "misses 3"),
    *(f"{what} along loop {place}" for what in ("still", "by one", "stride") for place in range(_INNER)),
    *(f"bytes within {level} loops" for level in range(_LEVELS)),
    *("lines within a loop", "lines within two", "reusing loop", "its extent", "bytes until reuse"),
)
_LOOPS_AT, _STATEMENTS_AT = 0, len(_LOOP_NAMES)
_ACCESSES_AT = _STATEMENTS_AT + len(_STATEMENT_NAMES)
NUM_FEATURES = _ACCESSES_AT + len(_ACCESS_NAMES)
"""Loops, statements and accesses have columns of their own, zero in the rows of the others."""

_COUNTS = _STATEMENT_NAMES[:8]
"""Small numbers, which are spread out more."""

_PLAIN = (
    *("is unrolled", "reduces", "is update", "has condition", "reduction of", "unrolling of"),
    *("carries", "is taken to pieces", "is on the stack"),
    *("item bytes", "is argument", "is contiguous", "still along", "by one along"),
)
"""Starts of the names of columns that are no sizes."""

_SPREAD = np.array(
    [
        0.0 if name.startswith(_PLAIN) else 0.5 if name in _COUNTS else 0.125
        for name in (*_LOOP_NAMES, *_STATEMENT_NAMES, *_ACCESS_NAMES)
    ]
)
"""What the logarithm of a column is multiplied by, so that sizes from one to billions spread like a standard normal."""

_SIZES = np.flatnonzero(_SPREAD)

_VERSION = 4
"""To be raised whenever a feature of the same name is computed otherwise."""


def candidate_schema_hash() -> str:
    """Changes whenever features change their meaning or order; weights remember the one they were trained on."""
    names = "\n".join(
        [str(_VERSION), *_LOOP_NAMES, *_STATEMENT_NAMES, *_ACCESS_NAMES, *(kind.name for kind in NodeType)]
    )
    return hashlib.sha256(names.encode()).hexdigest()[:16]


def candidate_features(graph: StatementGraph) -> GraphFeatures:
    """What the model sees of a candidate.

    Rows are loops, in their order, then each statement followed by what it reads and writes.  Edges run from a loop to
    what is right inside, from a statement to what it reads, from there to what it writes, and from a store to the later
    loads of its buffer.

    Returns:
        Features whose ``work`` has a column for each of :data:`WORK_TERMS`, zero but for statements.
    """
    nests = [Nest.of(statement, graph.loops) for statement in graph.statements]
    footprints = [nest.footprint_bytes() for nest in nests]
    on_stack = stack_buffers(graph)
    types = [_LOOP_TYPES[loop.kind] for loop in graph.loops]
    rows = [*_loop_rows(graph, nests, footprints)]
    work = [np.zeros(len(WORK_TERMS)) for _ in rows]
    edges = [(loop.parent, index) for index, loop in enumerate(graph.loops) if loop.parent >= 0]
    last_store: dict[int, int] = {}
    for statement, nest, footprint in zip(graph.statements, nests, footprints, strict=True):
        place = len(rows)
        if statement.loops:
            edges.append((statement.loops[-1], place))
        misses = np.array([nest.misses(size, footprint) for size in CACHE_BYTES])
        transfers = nest.register_transfers()
        code = InnerCode.of(statement, graph.loops, on_stack)
        done = _work(statement, nest, code, transfers, misses)
        types.append(NodeType.STATEMENT)
        rows.append(_statement_row(statement, nest, code, footprint, done))
        work.append(done)
        rows += [*_access_rows(statement, nest, footprint, transfers, misses)]
        work += [np.zeros(len(WORK_TERMS))] * len(statement.accesses)
        store = place + len(statement.accesses)
        for row, access in enumerate(statement.accesses, start=place + 1):
            types.append(NodeType.STORE if access.is_store else NodeType.LOAD)
            if not access.is_store:
                edges += [(place, row), (row, store)]
                if access.buffer in last_store:
                    edges.append((last_store[access.buffer], row))
        if len(statement.accesses) == 1:
            edges.append((place, store))
        last_store[statement.accesses[-1].buffer] = store
    count = len(rows)
    return GraphFeatures(
        op_types=np.array(types, dtype=np.int64),
        tokens=_spread_out(np.array(rows).reshape(count, NUM_FEATURES)).astype(np.float32),
        work=np.array(work, dtype=np.float32).reshape(count, len(WORK_TERMS)),
        kernels=np.zeros(count, dtype=np.int64),
        edges=np.array(sorted(edges), dtype=np.int64).reshape(-1, 2),
        op_index=np.arange(count),
        batch=1,
    )


def _spread_out(rows: Float[np.ndarray, "rows features"]) -> Float[np.ndarray, "rows features"]:
    """Logarithms of the columns that are sizes."""
    rows[:, _SIZES] = np.log2(1 + rows[:, _SIZES]) * _SPREAD[_SIZES]
    return rows


def _work(
    statement: Statement,
    nest: Nest,
    code: InnerCode,
    transfers: Float[np.ndarray, "accesses"],
    misses: Float[np.ndarray, "caches accesses"],
) -> Float[np.ndarray, "terms"]:
    operations, vectors = statement.operations, nest.vector_executions
    terms = [
        vectors * operations.floating,
        vectors * (operations.functions + operations.divisions),
        transfers.sum(),
        *misses.sum(axis=1),
        nest.loop_steps(),
        nest.divided(statement.divisions),
        nest.executions,
        code.pieces,
        code.spills,
    ]
    return np.array(terms) * 1e-6


def _loop_rows(
    graph: StatementGraph, nests: Sequence[Nest], footprints: Sequence[Float[np.ndarray, "_"]]
) -> Float[np.ndarray, "loops features"]:
    rows = np.zeros((len(graph.loops), NUM_FEATURES))
    sums = np.zeros((len(graph.loops), len(_LOOP_NAMES)))
    for statement, nest, footprint in zip(graph.statements, nests, footprints, strict=True):
        loops = list(statement.loops)
        still = (nest.strides == 0).sum(axis=0)
        by_one = (np.abs(nest.strides) == 1).sum(axis=0)
        of_all = sums[loops]
        of_all[:, 1] = nest.outside[:-1]
        greatest = [nest.outside[-1] / nest.outside[1:], nest.unrolled, np.arange(len(loops))[::-1], statement.reduces]
        of_all[:, [2, 4, 6, 7]] = np.maximum(of_all[:, [2, 4, 6, 7]], np.array(greatest, dtype=np.float64).T)
        added = [footprint[:-1], footprint[1:], np.ones(len(loops)), still, by_one, len(nest.strides) - still - by_one]
        of_all[:, 8:] += np.array(added).T
        sums[loops] = of_all
    for index, loop in enumerate(graph.loops):
        sums[index, [0, 3, 5]] = loop.extent, loop.unroll_steps, loop.depth
    rows[:, _LOOPS_AT : _LOOPS_AT + len(_LOOP_NAMES)] = sums
    return rows


def _statement_row(
    statement: Statement,
    nest: Nest,
    code: InnerCode,
    footprint: Float[np.ndarray, "depths"],
    work: Float[np.ndarray, "terms"],
) -> Float[np.ndarray, "features"]:
    found = statement.operations
    values = [
        *(found.additions, found.products, found.divisions, found.functions, found.comparisons),
        *(found.choices, nest.lanes, nest.lanes_of_transfers),
        *(statement.is_update, statement.has_condition),
        *(nest.outside[-1], nest.vector_width, statement.unroll_steps),
        *(nest.extents[nest.unrolled].prod(), len(statement.accesses) - 1, len(nest.extents)),
        *_inner(nest.extents),
        *_inner(np.array(statement.reduces, dtype=np.float64)),
        *_inner(nest.unrolled),
        *_inner_levels(footprint),
        *(code.carries, code.is_taken_to_pieces, code.is_on_stack),
        *(code.steps, code.registers, code.lanes, code.steps_inside),
        *(1e6 * work),
    ]
    row = np.zeros(NUM_FEATURES)
    row[_STATEMENTS_AT : _STATEMENTS_AT + len(values)] = values
    return row


def _access_rows(
    statement: Statement,
    nest: Nest,
    footprint: Float[np.ndarray, "depths"],
    transfers: Float[np.ndarray, "accesses"],
    misses: Float[np.ndarray, "caches accesses"],
) -> Float[np.ndarray, "accesses features"]:
    strides = np.abs(_inner(nest.strides))
    columns = [
        [[access.item_bytes / 4, access.buffer_bytes, access.is_argument] for access in statement.accesses],
        nest.is_contiguous[:, None],
        transfers[:, None],
        misses.T,
        strides == 0,
        strides == 1,
        strides,
        _inner_levels(nest.unique_bytes),
        _inner_levels(nest.lines)[:, 1:3],
        _reuse(nest, footprint),
    ]
    rows = np.zeros((len(statement.accesses), NUM_FEATURES))
    rows[:, _ACCESSES_AT:] = np.concatenate(columns, axis=1)
    return rows


def _reuse(nest: Nest, footprint: Float[np.ndarray, "depths"]) -> Float[np.ndarray, "accesses 3"]:
    """The innermost loop along which each access stays where it is; zeros where there is none.

    How far out the loop is, its extent, and the bytes touched in one run of it.
    """
    found = np.zeros((len(nest.strides), 3))
    for row, strides in enumerate(nest.strides):
        still = np.flatnonzero(strides == 0)
        if len(still):
            loop = still[-1]
            found[row] = len(strides) - loop, nest.extents[loop], footprint[loop + 1]
    return found


def _inner(values: Shaped[np.ndarray, "*rows loops"]) -> Float[np.ndarray, "*rows inner"]:
    """Of the innermost loops, the innermost first; zeros where there are fewer."""
    taken = values[..., ::-1][..., :_INNER]
    inner = np.zeros((*values.shape[:-1], _INNER))
    inner[..., : taken.shape[-1]] = taken
    return inner


def _inner_levels(values: Float[np.ndarray, "*rows depths"]) -> Float[np.ndarray, "*rows levels"]:
    """Within no loop, within the innermost ...; where there are fewer, within all of them."""
    taken = values[..., ::-1][..., :_LEVELS]
    levels = np.empty((*values.shape[:-1], _LEVELS))
    levels[..., : taken.shape[-1]] = taken
    levels[..., taken.shape[-1] :] = values[..., :1]
    return levels
