"""What moves between registers, caches and memory while statements are executed again and again."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from costmodel.integrations.tvm.candidate.nests import Nests, at_places

__all__ = ["CACHE_BYTES", "Traffic"]

CACHE_BYTES = (32e3, 1e6, 16e6)
"""Sizes that stand for a first, second and last cache: of today's processors, within a factor of two or so."""

_REGISTER_BYTES = 2e3
"""Thirty-two vector registers of 64 bytes."""

_MOST_LANES = 16
_ITEM_BYTES = 4
_LINE_BYTES = 64


@dataclass(frozen=True)
class Traffic:
    """What each statement and access moves, and how often; one number each, unless it says otherwise.

    Attributes:
        nests: The statements.
    """

    nests: Nests

    @cached_property
    def unrolled(self) -> Bool[np.ndarray, "statements loops"]:
        """Loops that a compiler unrolls."""
        steps = [max(statement.unroll_steps, 1) for statement in self.nests.statements]
        return self.nests.written_out(np.array(steps, dtype=np.float64))

    @cached_property
    def lanes(self) -> Float[np.ndarray, " statements"]:
        """Elements that one vector instruction computes; a vector whose width is none of the processor's is padded."""
        width = self.nests.vector_width
        lanes: Float[np.ndarray, " statements"] = width / np.ceil(width / _MOST_LANES)
        return lanes

    @property
    def lanes_of_transfers(self) -> Float[np.ndarray, " statements"]:
        """Elements that one instruction loads or stores, on average: nothing is padded there, 7 are 4, 2 and 1."""
        whole, rest = np.divmod(self.nests.vector_width.astype(np.int64), _MOST_LANES)
        lanes: Float[np.ndarray, " statements"] = self.nests.vector_width / (whole + np.bitwise_count(rest))
        return lanes

    @property
    def executions(self) -> Float[np.ndarray, " statements"]:
        """How often a statement is executed, vectors counted as one."""
        executions: Float[np.ndarray, " statements"] = self.nests.outside[:, -1] / self.nests.vector_width
        return executions

    @property
    def vector_executions(self) -> Float[np.ndarray, " statements"]:
        """How many vector instructions one operation of a statement takes in all."""
        executions: Float[np.ndarray, " statements"] = self.nests.outside[:, -1] / self.lanes
        return executions

    @cached_property
    def footprint_bytes(self) -> Float[np.ndarray, "statements depths"]:
        """Bytes of the cache lines touched while the loops from the d-th inwards run; a buffer counts once."""
        nests = self.nests
        pairs, pair_of = np.unique(np.stack([nests.of_access, nests.buffers]), axis=1, return_inverse=True)
        lines = np.zeros((pairs.shape[1], nests.lines.shape[1]))
        np.maximum.at(lines, pair_of, nests.lines)
        total = np.zeros((len(nests.statements), nests.lines.shape[1]))
        np.add.at(total, pairs[0], lines)
        return _LINE_BYTES * total

    @property
    def is_contiguous(self) -> Bool[np.ndarray, " accesses"]:
        """Whether vectors of an access are loaded or stored whole."""
        is_vector = self.nests.vector_width[self.nests.of_access] > 1
        contiguous: Bool[np.ndarray, " accesses"] = (np.abs(self.nests.strides[:, -1]) == 1) & is_vector
        return contiguous

    @cached_property
    def register_transfers(self) -> Float[np.ndarray, " accesses"]:
        """Loads or stores of each access.

        Unrolled loops keep in registers what fits there; so does a loop along which the element stays the same.
        """
        nests = self.nests
        inner = nests.extents.shape[1] - self.unrolled.sum(axis=1)
        place = np.maximum(inner, _first(nests.total(nests.unique_bytes) <= _REGISTER_BYTES))[nests.of_access]
        lanes = self.lanes_of_transfers[nests.of_access]
        width = np.where(self.is_contiguous, _ITEM_BYTES * lanes, _ITEM_BYTES)
        transfers: Float[np.ndarray, " accesses"] = np.ceil(at_places(nests.unique_bytes, place) / width)
        transfers *= self._runs(_after_last(nests.renews), place)
        return transfers

    def misses(self, cache_bytes: float) -> Float[np.ndarray, " accesses"]:
        """Cache lines of each access that are fetched into a cache.

        As many inner loops as fit keep what they touch; what they touch is fetched again each time they start, except
        along loops right around them that do not move the access.
        """
        place = _first(self.footprint_bytes <= cache_bytes)[self.nests.of_access]
        runs = self._runs(_after_last(self.nests.strides != 0), place)
        fetched: Float[np.ndarray, " accesses"] = runs * at_places(self.nests.lines, place)
        return fetched

    def _runs(
        self, after_last: Int[np.ndarray, "accesses depths"], place: Int[np.ndarray, " accesses"]
    ) -> Float[np.ndarray, " accesses"]:
        """How often the loops from ``place`` inwards start with other elements than just before."""
        runs: Float[np.ndarray, " accesses"] = self.nests.outside[self.nests.of_access, at_places(after_last, place)]
        return runs

    @property
    def loop_steps(self) -> Float[np.ndarray, " statements"]:
        """How often a counter is raised and compared."""
        is_counted = self.nests.is_loop & ~self.unrolled
        steps: Float[np.ndarray, " statements"] = (self.nests.outside[:, 1:] * is_counted).sum(axis=1)
        return steps

    @property
    def divided(self) -> Float[np.ndarray, " statements"]:
        """How many integer quotients and rests are computed; see :class:`Statement`.

        Where all loops that change one are written out, the compiler computes it.
        """
        found = np.zeros(len(self.nests.statements))
        for row, statement in enumerate(self.nests.statements):
            outer = self.nests.extents.shape[1] - len(statement.loops)
            for first, last in statement.divisions:
                if not self.unrolled[row, outer + first : outer + last].all():
                    found[row] += self.nests.outside[row, outer + last]
        return found


def _first(holds: Bool[np.ndarray, "rows depths"]) -> Int[np.ndarray, " rows"]:
    """The first depth at which something holds; the last if at none."""
    first: Int[np.ndarray, " rows"] = np.where(holds.any(axis=1), holds.argmax(axis=1), holds.shape[1] - 1)
    return first


def _after_last(holds: Bool[np.ndarray, "rows loops"]) -> Int[np.ndarray, "rows depths"]:
    """The place after the last loop outside of the d-th at which something holds; 0 if at none."""
    places = np.where(holds, np.arange(1, holds.shape[1] + 1), 0)
    before = np.zeros((len(places), 1), dtype=np.int64)
    return np.concatenate([before, np.maximum.accumulate(places, axis=1)], axis=1)
