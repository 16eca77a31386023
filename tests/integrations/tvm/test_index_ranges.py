"""Ranges of indices against all values that the same expressions take, enumerated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("tvm", reason="the package of TVM's candidates needs TVM: pip install '.[tvm]'")

from costmodel.integrations.tvm.candidate.index_ranges import IndexRanges

EXTENTS = st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple)
NUMBERS = st.integers(-6, 6)
DIVISORS = st.integers(1, 7)


@dataclass(frozen=True)
class Index:
    """An expression as its ranges, and as its value wherever the loops can be."""

    ranges: IndexRanges
    values: np.ndarray

    @classmethod
    def constant(cls, value: int, extents: tuple[int, ...]) -> Index:
        return cls(IndexRanges.constant(value, len(extents)), np.full(extents, value))

    @classmethod
    def of_loop(cls, loop: int, extents: tuple[int, ...]) -> Index:
        return cls(IndexRanges.of_loop(loop, extents[loop], len(extents)), np.indices(extents)[loop])

    def within(self, level: int) -> np.ndarray:
        """Values while the loops from ``level`` inwards run and those around them are at 0."""
        return self.values[(0,) * level]

    def first_steps(self) -> list[int]:
        start = self.values[(0,) * self.values.ndim]
        along = [np.moveaxis(self.values, loop, 0).reshape(extent, -1)[:2, 0] for loop, extent in self.loops()]
        return [int(values[-1] - start) for values in along]

    def loops(self) -> list[tuple[int, int]]:
        return list(enumerate(self.values.shape))

    def changed_by(self) -> tuple[int, int]:
        """Of the loops that change it while those around them are at 0, the first, and the one after the last."""
        changing = [loop for loop, _ in self.loops() if (self.within(loop) != self.within(loop)[0]).any()]
        return (changing[0], changing[-1] + 1) if changing else (0, 0)


def affine(coefficients: list[int], offset: int, extents: tuple[int, ...]) -> Index:
    """``offset + coefficients[0] * loop 0 + ...``, each loop once."""
    total = Index.constant(offset, extents)
    for loop, coefficient in enumerate(coefficients):
        term, factor = Index.of_loop(loop, extents), Index.constant(coefficient, extents)
        total = Index(total.ranges + term.ranges * factor.ranges, total.values + term.values * coefficient)
    return total


@st.composite
def affine_indices(draw) -> tuple[list[int], Index]:
    extents = draw(EXTENTS)
    coefficients = draw(st.lists(NUMBERS, min_size=len(extents), max_size=len(extents)))
    return coefficients, affine(coefficients, draw(NUMBERS), extents)


@st.composite
def any_indices(draw) -> Index:
    """Sums, differences, multiples, quotients, rests, minima and maxima of each other."""
    extents = draw(EXTENTS)
    loops = st.integers(0, len(extents) - 1).map(lambda loop: Index.of_loop(loop, extents))
    constants = NUMBERS.map(lambda value: Index.constant(value, extents))

    def combined(parts: st.SearchStrategy[Index]) -> st.SearchStrategy[Index]:
        return st.one_of(
            st.builds(lambda a, b: Index(a.ranges + b.ranges, a.values + b.values), parts, parts),
            st.builds(lambda a, b: Index(a.ranges - b.ranges, a.values - b.values), parts, parts),
            st.builds(lambda a, b: Index(a.ranges * b.ranges, a.values * b.values), parts, constants),
            st.builds(lambda a, factor: Index(a.ranges.scaled(factor), a.values * factor), parts, NUMBERS),
            st.builds(lambda a, divisor: Index(a.ranges // divisor, a.values // divisor), parts, DIVISORS),
            st.builds(lambda a, divisor: Index(a.ranges % divisor, a.values % divisor), parts, DIVISORS),
            st.builds(lambda a, b: Index(a.ranges.minimum(b.ranges), np.minimum(a.values, b.values)), parts, parts),
            st.builds(lambda a, b: Index(a.ranges.maximum(b.ranges), np.maximum(a.values, b.values)), parts, parts),
        )

    return draw(st.recursive(loops | constants, combined, max_leaves=6))


repeatable = settings(max_examples=300, deadline=None, derandomize=True, database=None)


@repeatable
@given(affine_indices())
def test_sums_of_multiples_are_exact(drawn):
    coefficients, index = drawn
    extents = index.values.shape
    levels = range(len(extents) + 1)

    assert index.ranges.strides.tolist() == [
        coefficient if extent > 1 else 0 for coefficient, extent in zip(coefficients, extents, strict=True)
    ]
    assert index.ranges.values[1].tolist() == [index.within(level).min() for level in levels]
    assert index.ranges.values[2].tolist() == [index.within(level).max() for level in levels]
    assert index.ranges.counts.tolist() == [np.ptp(index.within(level)) + 1 for level in levels]
    assert index.ranges.changed_by == index.changed_by()


@repeatable
@given(any_indices())
def test_whatever_it_is_the_first_steps_are_exact_and_no_value_is_outside(index):
    assert index.ranges.strides.tolist() == index.first_steps()
    for level in range(index.values.ndim + 1):
        low, high = index.ranges.values[1:, level]
        assert low <= index.within(level).min()
        assert index.within(level).max() <= high
    assert index.ranges.changed_by[1] >= index.changed_by()[1]


@repeatable
@given(affine_indices(), DIVISORS)
def test_quotients_are_exact_and_rests_are_as_wide_as_the_divisor_at_most(drawn, divisor):
    _, index = drawn
    quotient, rest = index.ranges // divisor, index.ranges % divisor

    for level in range(index.values.ndim + 1):
        values = index.within(level)
        assert quotient.values[1:, level].tolist() == [(values // divisor).min(), (values // divisor).max()]
        wraps = len(np.unique(values // divisor)) > 1
        expected = [0, divisor - 1] if wraps else [(values % divisor).min(), (values % divisor).max()]
        assert rest.values[1:, level].tolist() == expected


def test_a_fused_loop_taken_apart():
    """``fused`` goes over 5 rows of 6, ``inner`` over 4 elements of each."""
    fused, inner = IndexRanges.of_loop(0, 30, 2), IndexRanges.of_loop(1, 4, 2)
    row, column = fused // 6, fused % 6

    assert (row.strides.tolist(), column.strides.tolist()) == ([0, 0], [1, 0])
    assert (row.counts.tolist(), column.counts.tolist()) == ([5, 1, 1], [6, 1, 1])
    assert (column + inner).counts.tolist() == [9, 4, 1]
    assert [found.changed_by for found in (row, column, inner, column + inner)] == [(0, 1), (0, 1), (1, 2), (0, 2)]


def test_a_loop_that_runs_once_moves_nothing():
    once = IndexRanges.of_loop(0, 1, 2)

    assert once.strides.tolist() == [0, 0]
    assert once.counts.tolist() == [1, 1, 1]
    assert once.changed_by == (0, 0)


def test_padding_is_cut_off_at_both_ends():
    """``clip(i - 2, 0, 4)`` for ``i`` below 8: nothing moves at first, and five elements are met in all."""
    moved = IndexRanges.of_loop(0, 8, 1) - IndexRanges.constant(2, 1)
    clipped = moved.maximum(IndexRanges.constant(0, 1)).minimum(IndexRanges.constant(4, 1))

    assert moved.values[1:, 0].tolist() == [-2, 5]
    assert (clipped.strides.tolist(), clipped.counts.tolist()) == ([0], [5, 1])
    assert clipped.changed_by == (0, 1)
