"""Elements of buffers that statements read and write, and what they come to while loops run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

import numpy as np
from jaxtyping import Float, Int

from costmodel.integrations.tvm.candidate.statement_graph import Access

__all__ = ["Buffer", "Element", "accesses_of", "compacted"]

_LINE_BYTES = 64


@dataclass(frozen=True, slots=True)
class Buffer:
    """What elements are in.

    Attributes:
        number: Which.
        item_bytes: Size of an element.
        shape: Elements along each dimension, as declared or as allocated, see :func:`compacted`.
        is_argument: Whether it comes from outside.
    """

    number: int
    item_bytes: int
    shape: tuple[int, ...]
    is_argument: bool


@dataclass(frozen=True, slots=True)
class Element:
    """An element of a buffer.

    Attributes:
        buffer: Which.
        indices: Dimensions of more than one element, each with its index, see :class:`IndexRanges`.
        fresh_loops: See :class:`Access`.
    """

    buffer: Buffer
    indices: Sequence[tuple[int, Float[np.ndarray, "3 depths"]]]
    fresh_loops: int = 0


def compacted(elements: Sequence[Element], loops: Sequence[tuple[int, ...]]) -> list[Element]:
    """Elements of buffers as TVM allocates them, rather than as the program declares them.

    A buffer that does not come from outside is allocated within the loops that all its accesses share, as large as
    what is touched there (TVM's ``CompactBufferAllocation``): each run of those loops uses the same memory again, and
    what is far apart in the declared shape may be next to each other.

    Args:
        elements: All those of a candidate.
        loops: Numbers of the loops around each, the outermost first.
    """
    uses: dict[int, list[int]] = {}
    for row, element in enumerate(elements):
        if not element.buffer.is_argument:
            uses.setdefault(element.buffer.number, []).append(row)
    found = list(elements)
    for rows in uses.values():
        shared = _shared([loops[row] for row in rows])
        declared = elements[rows[0]].buffer
        shape = list(declared.shape)
        for place, (dimension, _) in enumerate(elements[rows[0]].indices):
            indices = [elements[row].indices[place][1] for row in rows]
            low, high = min(index[1, shared] for index in indices), max(index[2, shared] for index in indices)
            shape[dimension] = int(min(max(high - low + 1, 1), shape[dimension]))
        buffer = replace(declared, shape=tuple(shape))
        for row in rows:
            within = [(dimension, _within(index, shared)) for dimension, index in elements[row].indices]
            found[row] = Element(buffer, within, shared)
    return found


def _shared(paths: Sequence[tuple[int, ...]]) -> int:
    """How many loops, from the outermost, are the same."""
    return len(list(takewhile(lambda loops: len(set(loops)) == 1, zip(*paths, strict=False))))


def _within(index: Float[np.ndarray, "3 depths"], shared: int) -> Float[np.ndarray, "3 depths"]:
    """An index that the first loops do not move."""
    if not shared:
        return index
    still = index.copy()
    still[0, 1 : shared + 1] = still[0, 0]
    still[1:, :shared] = still[1:, shared : shared + 1]
    return still


def accesses_of(elements: Sequence[Element], are_stores: Sequence[bool], loops: Sequence[int]) -> list[Access]:
    """What is touched while elements are read or written again and again.

    All at once, dimension by dimension from the last, padded with dimensions of one element and with loops.

    Args:
        elements: The elements.
        are_stores: Which of them are written.
        loops: How many loops are around each.
    """
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
    return [
        Access(
            buffer.number,
            are_stores[row],
            buffer.item_bytes,
            float(buffer_bytes[row]),
            buffer.is_argument,
            float(first[row]),
            strides[row, : loops[row]],
            touched[row, : loops[row] + 1],
            lines[row, : loops[row] + 1],
            elements[row].fresh_loops,
        )
        for row, buffer in enumerate(buffers)
    ]


def _lines(
    elements: Float[np.ndarray, "accesses depths"], item_bytes: Int[np.ndarray, "accesses 1"]
) -> Float[np.ndarray, "accesses depths"]:
    """Cache lines that so many elements in a row take."""
    lines: Float[np.ndarray, "accesses depths"] = np.ceil(elements * item_bytes / _LINE_BYTES)
    return lines
