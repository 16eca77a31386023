"""What moves between registers, caches and memory while a statement is executed again and again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from costmodel.integrations.tvm.candidate.statement_graph import Loop, LoopKind, Statement

__all__ = ["CACHE_BYTES", "Nest"]

CACHE_BYTES = (32e3, 1e6, 16e6)
"""Sizes that stand for a first, second and last cache: of today's processors, within a factor of two or so."""

_REGISTER_BYTES = 2e3
"""Thirty-two vector registers of 64 bytes."""

_MOST_LANES = 16
_ITEM_BYTES = 4
_LINE_BYTES = 64


@dataclass(frozen=True)
class Nest:
    """A statement and the loops around it, as arrays; the outermost loop first, accesses as in the statement.

    Attributes:
        extents: How often each loop runs.
        outside: Product of the extents of the loops outside of the d-th, d from 0 to their number.
        vector_width: Elements that are processed at once.
        unrolled: Loops that a compiler unrolls.
        strides: Elements between two runs of each loop, by access.
        unique_bytes: Bytes touched while the loops from the d-th inwards run, by access.
        lines: Cache lines touched meanwhile, by access.
    """

    extents: Float[np.ndarray, "loops"]
    outside: Float[np.ndarray, "depths"]
    vector_width: float
    unrolled: Bool[np.ndarray, "loops"]
    strides: Float[np.ndarray, "accesses loops"]
    unique_bytes: Float[np.ndarray, "accesses depths"]
    lines: Float[np.ndarray, "accesses depths"]
    buffers: tuple[int, ...]

    @classmethod
    def of(cls, statement: Statement, loops: list[Loop]) -> Nest:
        """The arrays of a statement.

        Args:
            statement: One of a candidate's.
            loops: All loops of the candidate.
        """
        around = [loops[index] for index in statement.loops]
        extents = np.array([loop.extent for loop in around], dtype=np.float64)
        is_vector = bool(around) and around[-1].kind is LoopKind.VECTORISED
        return cls(
            extents,
            np.concatenate([[1.0], np.cumprod(extents)]),
            extents[-1] if is_vector else 1.0,
            _unrolled(around, statement.unroll_steps),
            np.array([access.strides for access in statement.accesses]),
            np.array([access.unique_bytes for access in statement.accesses]),
            np.array([access.lines for access in statement.accesses]),
            tuple(access.buffer for access in statement.accesses),
        )

    @property
    def lanes(self) -> float:
        """Elements that one vector instruction computes; a vector whose width is none of the processor's is padded."""
        return float(self.vector_width / np.ceil(self.vector_width / _MOST_LANES))

    @property
    def lanes_of_transfers(self) -> float:
        """Elements that one instruction loads or stores, on average: nothing is padded there, 7 are 4, 2 and 1."""
        whole, rest = divmod(int(self.vector_width), _MOST_LANES)
        return self.vector_width / (whole + rest.bit_count())

    @property
    def executions(self) -> float:
        """How often the statement is executed, vectors counted as one."""
        return float(self.outside[-1] / self.vector_width)

    @property
    def vector_executions(self) -> float:
        """How many vector instructions one operation of the statement takes in all."""
        return float(self.outside[-1] / self.lanes)

    def footprint_bytes(self) -> Float[np.ndarray, "depths"]:
        """Bytes of the cache lines touched while the loops from the d-th inwards run; a buffer counts once."""
        by_buffer: dict[int, np.ndarray] = {}
        for buffer, lines in zip(self.buffers, self.lines, strict=True):
            known = by_buffer.get(buffer)
            by_buffer[buffer] = lines if known is None else np.maximum(known, lines)
        total: Float[np.ndarray, "depths"] = _LINE_BYTES * np.sum(list(by_buffer.values()), axis=0)
        return total

    def register_transfers(self) -> Float[np.ndarray, "accesses"]:
        """Loads or stores of each access.

        Unrolled loops keep in registers what fits there; so does a loop along which the element stays the same.
        """
        inner = len(self.extents) - int(np.argmin(np.append(self.unrolled[::-1], False)))
        width = np.where(self.is_contiguous, _ITEM_BYTES * self.lanes_of_transfers, _ITEM_BYTES)
        fits = self.unique_bytes.sum(axis=0) <= _REGISTER_BYTES
        place = max(inner, int(np.argmax(fits)) if fits.any() else len(self.extents))
        return self._reloads(place) * np.ceil(self.unique_bytes[:, place] / width)

    @property
    def is_contiguous(self) -> Bool[np.ndarray, "accesses"]:
        """Whether vectors of an access are loaded or stored whole."""
        if not len(self.extents):
            return np.zeros(len(self.strides), dtype=bool)
        contiguous: Bool[np.ndarray, "accesses"] = (np.abs(self.strides[:, -1]) == 1) & (self.vector_width > 1)
        return contiguous

    def misses(self, cache_bytes: float, footprint: Float[np.ndarray, "depths"]) -> Float[np.ndarray, "accesses"]:
        """Cache lines of each access that are fetched into a cache.

        As many inner loops as fit keep what they touch; what they touch is fetched again each time they start, except
        along loops right around them that do not move the access.
        """
        fits = footprint <= cache_bytes
        place = int(np.argmax(fits)) if fits.any() else len(self.extents)
        fetched: Float[np.ndarray, "accesses"] = self._reloads(place) * self.lines[:, place]
        return fetched

    def _reloads(self, place: int) -> Float[np.ndarray, "accesses"]:
        """How often the loops from ``place`` inwards start with other elements than just before."""
        still = self.strides[:, :place][:, ::-1] == 0
        run = np.where(still.all(axis=1), place, np.argmin(still, axis=1)) if place else np.zeros(len(still), dtype=int)
        reloads: Float[np.ndarray, "accesses"] = self.outside[place - run]
        return reloads

    def divided(self, divisions: tuple[tuple[int, int], ...]) -> float:
        """How many integer quotients and rests are computed; see :class:`Statement`.

        Where all loops that change one are written out, the compiler computes it.
        """
        return sum(float(self.outside[last]) for first, last in divisions if not self.unrolled[first:last].all())

    def loop_steps(self) -> float:
        """How often a counter is raised and compared."""
        is_counted = ~self.unrolled
        if self.vector_width > 1:
            is_counted[-1] = False
        return float(self.outside[1:][is_counted].sum())


def _unrolled(loops: list[Loop], steps: int) -> Bool[np.ndarray, "loops"]:
    """Which loops are written out, from the innermost, as long as that stays below the limit."""
    unrolled = np.zeros(len(loops), dtype=bool)
    product = 1
    for place in range(len(loops) - 1, -1, -1):
        loop = loops[place]
        if loop.kind is LoopKind.VECTORISED:
            unrolled[place] = True
            continue
        product *= loop.extent
        fits = loop.kind is LoopKind.SERIAL and product <= max(steps, 1)
        if not fits and loop.kind is not LoopKind.UNROLLED:
            break
        unrolled[place] = True
    return unrolled
