"""TIR's index expressions → :class:`IndexRanges`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tvm import tirx
from tvm.ir import Var

from costmodel.integrations.tvm.candidate.index_ranges import IndexRanges

__all__ = ["IndexReader", "constant_of", "key_of"]


class IndexReader:
    """Ranges of index expressions around one statement.

    Args:
        loops: Numbers of the loops around it, the outermost first.
        extents: How often each runs.
        loop_of: Number of the loop that a variable counts, see :func:`key_of`.
        values: What all other variables stand for.
    """

    def __init__(
        self, loops: tuple[int, ...], extents: Sequence[int], loop_of: Mapping[int, int], values: Mapping[int, Any]
    ) -> None:
        self.loops = len(loops)
        self.seen: set[int] = set()
        """Variables that an index depends on."""
        self.divisions: list[tuple[int, int]] = []
        """See :class:`Statement`."""
        self._place = {loop: place for place, loop in enumerate(loops)}
        self._extents = extents
        self._loop_of = loop_of
        self._values = values
        self._known: dict[int, IndexRanges] = {}

    def of(self, expression: Any) -> IndexRanges:
        """Ranges of an expression."""
        kind = type(expression)
        if kind is Var:
            return self.of_variable(key_of(expression))
        if kind is tirx.IntImm:
            return IndexRanges.constant(int(expression.value), self.loops)
        if kind is tirx.Mul and type(expression.b) is tirx.IntImm:
            return self.of(expression.a).scaled(int(expression.b.value))
        operation = _ARITHMETIC.get(kind)
        if operation is not None:
            return operation(self.of(expression.a), self.of(expression.b))
        division = _DIVISIONS.get(kind)
        if division is not None:
            divisor = constant_of(expression.b)
            if divisor:
                divided = self.of(expression.a)
                if divisor & (divisor - 1):  # a power of two is a shift
                    self.divisions.append(divided.changed_by)
                return division(divided, divisor)
        if kind is tirx.Cast:
            return self.of(expression.value)
        return IndexRanges.constant(0, self.loops)  # an element that data decides: it might be any

    def of_variable(self, key: int) -> IndexRanges:
        """Ranges of a variable, see :func:`key_of`."""
        found = self._known.get(key)
        if found is None:
            self.seen.add(key)
            loop = self._loop_of.get(key)
            if loop is not None and loop in self._place:
                place = self._place[loop]
                found = IndexRanges.of_loop(place, self._extents[place], self.loops)
            elif key in self._values:
                found = self.of(self._values[key])
            else:
                found = IndexRanges.constant(0, self.loops)
            self._known[key] = found
        return found


_ARITHMETIC: Mapping[type, Callable[[IndexRanges, IndexRanges], IndexRanges]] = {
    tirx.Add: IndexRanges.__add__,
    tirx.Sub: IndexRanges.__sub__,
    tirx.Mul: IndexRanges.__mul__,
    tirx.Min: IndexRanges.minimum,
    tirx.Max: IndexRanges.maximum,
}
_DIVISIONS: Mapping[type, Callable[[IndexRanges, int], IndexRanges]] = {
    tirx.FloorDiv: IndexRanges.__floordiv__,
    tirx.FloorMod: IndexRanges.__mod__,
}


def key_of(variable: Any) -> int:
    """What a variable or buffer is known by: its address.  To compare two with ``==`` would build an expression."""
    return hash(variable)


def constant_of(expression: Any) -> int | None:
    """The value of a constant."""
    return int(expression.value) if type(expression) is tirx.IntImm else None
