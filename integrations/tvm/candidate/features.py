"""StatementGraph → the numbers that the model sees: a row for each loop, statement and access."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from jaxtyping import Float, Int, Shaped

from costmodel.features import GraphFeatures
from costmodel.integrations.tvm.candidate.code import InnerCode
from costmodel.integrations.tvm.candidate.nests import Nests
from costmodel.integrations.tvm.candidate.statement_graph import LoopKind, StatementGraph
from costmodel.integrations.tvm.candidate.traffic import CACHE_BYTES, Traffic

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
    *(
        f"{what} of loop {place}"
        for what in ("extent", "reduction", "condition", "unrolling")
        for place in range(_INNER)
    ),
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
    *("is unrolled", "reduces", "is update", "has condition", "reduction of", "condition of", "unrolling of"),
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

_VERSION = 5
"""To be raised whenever a feature of the same name is computed otherwise."""


def candidate_schema_hash() -> str:
    """Changes whenever features change their meaning or order; weights remember the one they were trained on."""
    names = "\n".join(
        [str(_VERSION), *_LOOP_NAMES, *_STATEMENT_NAMES, *_ACCESS_NAMES, *(kind.name for kind in NodeType)]
    )
    return hashlib.sha256(names.encode()).hexdigest()[:16]


def candidate_features(graphs: Sequence[StatementGraph]) -> list[GraphFeatures]:
    """What the model sees of each candidate; of many at once, most of the time is spent on arrays.

    Rows are loops, in their order, then each statement followed by what it reads and writes.  Edges run from a loop to
    what is right inside, from a statement to what it reads, from there to what it writes, and from a store to the later
    loads of its buffer.

    Returns:
        Features whose ``work`` has a column for each of :data:`WORK_TERMS`, zero but for statements.
    """
    nests = Nests.of(graphs)
    traffic, code = Traffic(nests), InnerCode.of(graphs, nests)
    layouts = [_Layout.of(graph) for graph in graphs]
    first_row = np.cumsum([0, *(layout.count for layout in layouts)])
    loops, statements, accesses = (
        np.concatenate([first + layout.rows[part] for first, layout in zip(first_row[:-1], layouts, strict=True)])
        if layouts
        else np.zeros(0, dtype=np.int64)
        for part in range(3)
    )
    misses = np.stack([traffic.misses(size) for size in CACHE_BYTES], axis=1)
    done = _work(traffic, code, misses)
    tokens = np.zeros((first_row[-1], NUM_FEATURES))
    tokens[loops, _LOOPS_AT:_STATEMENTS_AT] = _loop_rows(graphs, traffic)
    tokens[statements, _STATEMENTS_AT:_ACCESSES_AT] = _statement_rows(traffic, code, done)
    tokens[accesses, _ACCESSES_AT:] = _access_rows(traffic, misses)
    tokens = _spread_out(tokens).astype(np.float32)
    work = np.zeros((first_row[-1], len(WORK_TERMS)), dtype=np.float32)
    work[statements] = done
    return [
        GraphFeatures(
            op_types=np.array(layout.types, dtype=np.int64),
            tokens=tokens[first : first + layout.count].copy(),  # lest one keeps all
            work=work[first : first + layout.count].copy(),
            kernels=np.zeros(layout.count, dtype=np.int64),
            edges=np.array(sorted(layout.edges), dtype=np.int64).reshape(-1, 2),
            op_index=np.arange(layout.count),
            batch=1,
        )
        for first, layout in zip(first_row.tolist(), layouts, strict=False)
    ]


@dataclass(frozen=True, slots=True)
class _Layout:
    """Rows of a candidate.

    Attributes:
        types: What each row stands for.
        edges: Pairs of rows.
        rows: Those of the loops, of the statements and of the accesses, each in order.
    """

    types: list[NodeType]
    edges: list[tuple[int, int]]
    rows: tuple[Int[np.ndarray, "_"], ...]

    @property
    def count(self) -> int:
        """How many rows there are."""
        return len(self.types)

    @classmethod
    def of(cls, graph: StatementGraph) -> _Layout:
        """The rows of a candidate."""
        types = [_LOOP_TYPES[loop.kind] for loop in graph.loops]
        edges = [(loop.parent, index) for index, loop in enumerate(graph.loops) if loop.parent >= 0]
        statements, accesses = list[int](), list[int]()
        last_store: dict[int, int] = {}
        for statement in graph.statements:
            place = len(types)
            store = place + len(statement.accesses)
            statements.append(place)
            accesses += range(place + 1, store + 1)
            types.append(NodeType.STATEMENT)
            if statement.loops:
                edges.append((statement.loops[-1], place))
            for row, access in enumerate(statement.accesses, start=place + 1):
                types.append(NodeType.STORE if access.is_store else NodeType.LOAD)
                if not access.is_store:
                    edges += [(place, row), (row, store)]
                    if access.buffer in last_store:
                        edges.append((last_store[access.buffer], row))
            if len(statement.accesses) == 1:
                edges.append((place, store))
            last_store[statement.accesses[-1].buffer] = store
        rows = (range(len(graph.loops)), statements, accesses)
        return cls(types, edges, tuple(np.array(part, dtype=np.int64) for part in rows))


def _spread_out(rows: Float[np.ndarray, "rows features"]) -> Float[np.ndarray, "rows features"]:
    """Logarithms of the columns that are sizes."""
    rows[:, _SIZES] = np.log2(1 + rows[:, _SIZES]) * _SPREAD[_SIZES]
    return rows


def _work(
    traffic: Traffic, code: InnerCode, misses: Float[np.ndarray, "accesses caches"]
) -> Float[np.ndarray, "statements terms"]:
    nests = traffic.nests
    operations = [statement.operations for statement in nests.statements]
    floating, slow = (
        np.array(counts, dtype=np.float64)
        for counts in ([one.floating for one in operations], [one.functions + one.divisions for one in operations])
    )
    terms = [
        traffic.vector_executions * floating,
        traffic.vector_executions * slow,
        nests.total(traffic.register_transfers),
        *nests.total(misses).T,
        traffic.loop_steps,
        traffic.divided,
        traffic.executions,
        code.pieces,
        code.spills,
    ]
    return np.stack(terms, axis=1) * 1e-6


def _loop_rows(graphs: Sequence[StatementGraph], traffic: Traffic) -> Float[np.ndarray, "loops features"]:
    nests = traffic.nests
    own = [(loop.extent, loop.unroll_steps, loop.depth) for graph in graphs for loop in graph.loops]
    rows = np.zeros((len(own), len(_LOOP_NAMES)))
    rows[:, [0, 3, 5]] = np.array(own, dtype=np.float64).reshape(-1, 3)
    around = nests.is_loop
    loops = nests.loops[around]
    still = nests.total((~nests.renews).astype(np.float64))
    by_one = nests.total((np.abs(nests.strides) == 1).astype(np.float64))
    height = np.broadcast_to(np.arange(around.shape[1])[::-1], around.shape)
    greatest = [nests.outside[:, -1:] / nests.outside[:, 1:], traffic.unrolled, height, nests.reduces]
    count = nests.total(np.ones((len(nests.accesses), 1)))
    footprint = traffic.footprint_bytes
    added = [footprint[:, :-1], footprint[:, 1:], np.ones(around.shape), still, by_one, count - still - by_one]
    rows[loops, 1] = nests.outside[:, :-1][around]
    for column, values in zip((2, 4, 6, 7), greatest, strict=True):
        np.maximum.at(rows[:, column], loops, values[around].astype(np.float64))
    for column, values in enumerate(added, start=8):
        np.add.at(rows[:, column], loops, values[around])
    return rows


def _statement_rows(
    traffic: Traffic, code: InnerCode, work: Float[np.ndarray, "statements terms"]
) -> Float[np.ndarray, "statements features"]:
    nests = traffic.nests
    counts = [
        (one.additions, one.products, one.divisions, one.functions, one.comparisons, one.choices)
        for one in (statement.operations for statement in nests.statements)
    ]
    told = [
        (statement.unroll_steps, len(statement.accesses) - 1, len(statement.loops)) for statement in nests.statements
    ]
    flags = [(statement.is_update, statement.has_condition) for statement in nests.statements]
    unroll_steps, loads, loops = np.array(told, dtype=np.float64).reshape(-1, 3).T
    columns = [
        np.array(counts, dtype=np.float64).reshape(-1, 6),
        traffic.lanes,
        traffic.lanes_of_transfers,
        np.array(flags, dtype=np.float64).reshape(-1, 2),
        nests.outside[:, -1],
        nests.vector_width,
        unroll_steps,
        np.where(traffic.unrolled, nests.extents, 1).prod(axis=1),
        loads,
        loops,
        _inner(nests.extents * nests.is_loop),
        _inner(nests.reduces),
        _inner(nests.decides),
        _inner(traffic.unrolled),
        _inner_levels(traffic.footprint_bytes),
        *(code.carries, code.is_taken_to_pieces, code.is_on_stack),
        *(code.steps, code.registers, code.lanes, code.steps_inside),
        1e6 * work,
    ]
    return np.column_stack(columns)


def _access_rows(
    traffic: Traffic, misses: Float[np.ndarray, "accesses caches"]
) -> Float[np.ndarray, "accesses features"]:
    nests = traffic.nests
    strides = np.abs(_inner(nests.strides))
    told = [(access.item_bytes / 4, access.buffer_bytes, access.is_argument) for access in nests.accesses]
    columns = [
        np.array(told, dtype=np.float64).reshape(-1, 3),
        traffic.is_contiguous,
        traffic.register_transfers,
        misses,
        strides == 0,
        strides == 1,
        strides,
        _inner_levels(nests.unique_bytes),
        _inner_levels(nests.lines)[:, 1:3],
        _reuse(traffic),
    ]
    return np.column_stack(columns)


def _reuse(traffic: Traffic) -> Float[np.ndarray, "accesses 3"]:
    """The innermost loop along which each access stays where it is; zeros where there is none.

    How far out the loop is, its extent, and the bytes touched in one run of it.
    """
    nests = traffic.nests
    still = ~nests.renews & nests.is_loop[nests.of_access]
    places = still.shape[1]
    loop = np.where(still, np.arange(places), -1).max(axis=1)
    found = [
        places - loop,
        nests.extents[nests.of_access, loop],
        traffic.footprint_bytes[nests.of_access, loop + 1],
    ]
    reuse: Float[np.ndarray, "accesses 3"] = np.stack(found, axis=1) * (loop >= 0)[:, None]
    return reuse


def _inner(values: Shaped[np.ndarray, "rows loops"]) -> Float[np.ndarray, "rows inner"]:
    """Of the innermost loops, the innermost first; zeros where there are fewer."""
    taken = values[:, ::-1][:, :_INNER]
    inner = np.zeros((len(values), _INNER))
    inner[:, : taken.shape[1]] = taken
    return inner


def _inner_levels(values: Float[np.ndarray, "rows depths"]) -> Float[np.ndarray, "rows levels"]:
    """Within no loop, within the innermost ...; where there are fewer, within all of them."""
    taken = values[:, ::-1][:, :_LEVELS]
    levels = np.empty((len(values), _LEVELS))
    levels[:, : taken.shape[1]] = taken
    levels[:, taken.shape[1] :] = values[:, :1]
    return levels
