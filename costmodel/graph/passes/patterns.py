"""Small expressions over operators, matched against a graph from their result backwards.

A pattern is built from four pieces: :class:`Tensor` (any value), :class:`Weight`
and :class:`Scalar` (a value known before the run), :class:`OneOf` (alternatives)
and :class:`Call` (an operator applied to patterns).  ``x * sigmoid(x)`` reads::

    x = Tensor("x")
    call("Mul", x, call("Sigmoid", x))

Matching backtracks: the operands of a commutative operator are tried in both
orders, and every alternative is tried until the whole expression fits.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import isclose
from typing import NamedTuple

from costmodel.graph.op_graph import Op
from costmodel.graph.passes.matching import Wiring

__all__ = ["Call", "Match", "OneOf", "Pattern", "Scalar", "Tensor", "Weight", "call", "matches", "product", "scaled"]


class Match(NamedTuple):
    """One way a pattern fits a graph.

    Attributes:
        values: Value name of each labelled tensor.
        ops: The operations matched, each once, the root first.
        labelled: The operations of the labelled calls.
    """

    values: dict[str, str]
    ops: tuple[Op, ...]
    labelled: dict[str, Op]

    def value(self, label: str) -> str:
        """Name of the value labelled ``label``; ``""`` when the alternative taken has no such label."""
        return self.values.get(label, "")


class Pattern(ABC):
    """A set of expressions."""

    def may_be(self, _value_name: str, _wiring: Wiring, /) -> bool:
        """Whether the value passes a first, cheap look; most candidates do not, and cost nothing more."""
        return True

    @abstractmethod
    def expand(self, value_name: str, wiring: Wiring, match: Match, /) -> Iterator[Match]:
        """Every extension of ``match`` in which the value is one of the pattern's expressions."""

    @property
    def root_types(self) -> frozenset[str]:
        """Operators that can make the result."""
        return frozenset()

    @property
    def needed_types(self) -> frozenset[str]:
        """Operators that every one of the expressions uses: a graph without one of them has no match."""
        return frozenset()


@dataclass(frozen=True, slots=True)
class Tensor(Pattern):
    """Any value; the same value wherever the same label stands."""

    label: str

    def expand(self, value_name: str, _wiring: Wiring, match: Match, /) -> Iterator[Match]:
        """See :meth:`Pattern.expand`."""
        yield from _bound(self.label, value_name, match)


@dataclass(frozen=True, slots=True)
class Weight(Pattern):
    """Any value known before the run."""

    label: str

    def may_be(self, value_name: str, wiring: Wiring, /) -> bool:
        """See :meth:`Pattern.may_be`."""
        return wiring.is_weight(value_name)

    def expand(self, value_name: str, wiring: Wiring, match: Match, /) -> Iterator[Match]:
        """See :meth:`Pattern.expand`."""
        if wiring.is_weight(value_name):
            yield from _bound(self.label, value_name, match)


@dataclass(frozen=True, slots=True)
class Scalar(Pattern):
    """A weight of one element, equal to ``near`` up to rounding; its data may have been stripped."""

    near: float | None = None
    label: str = ""

    def may_be(self, value_name: str, wiring: Wiring, /) -> bool:
        """See :meth:`Pattern.may_be`."""
        if not wiring.is_scalar(value_name):
            return False
        number = wiring.number(value_name) if self.near is not None else None
        return self.near is None or number is None or isclose(number, self.near, rel_tol=2e-2)

    def expand(self, value_name: str, wiring: Wiring, match: Match, /) -> Iterator[Match]:
        """See :meth:`Pattern.expand`."""
        if self.may_be(value_name, wiring):
            yield from _bound(self.label, value_name, match) if self.label else (match,)


@dataclass(frozen=True, slots=True)
class OneOf(Pattern):
    """Any of several patterns, tried in order."""

    alternatives: tuple[Pattern, ...]

    def may_be(self, value_name: str, wiring: Wiring, /) -> bool:
        """See :meth:`Pattern.may_be`."""
        return any(alternative.may_be(value_name, wiring) for alternative in self.alternatives)

    def expand(self, value_name: str, wiring: Wiring, match: Match, /) -> Iterator[Match]:
        """See :meth:`Pattern.expand`."""
        for alternative in self.alternatives:
            yield from alternative.expand(value_name, wiring, match)

    @property
    def root_types(self) -> frozenset[str]:
        """Operators that can make the result."""
        return frozenset().union(*(alternative.root_types for alternative in self.alternatives))

    @property
    def needed_types(self) -> frozenset[str]:
        """See :attr:`Pattern.needed_types`."""
        return frozenset.intersection(*(alternative.needed_types for alternative in self.alternatives))


@dataclass(frozen=True, slots=True)
class Call(Pattern):
    """The first result of an operator of ONNX's own domain.

    Operands beyond those listed must be weights: bounds, axes and the like.

    Attributes:
        op_types: The operators allowed.
        operands: Patterns of the leading operands.
        where: A further condition on the operation.
        label: Name under which :attr:`Match.labelled` holds the operation.
    """

    op_types: tuple[str, ...]
    operands: tuple[Pattern, ...]
    where: Callable[[Op, Wiring], bool] | None = None
    label: str = ""

    def may_be(self, value_name: str, wiring: Wiring, /) -> bool:
        """See :meth:`Pattern.may_be`."""
        return wiring.producer(value_name, *self.op_types) is not None

    def expand(self, value_name: str, wiring: Wiring, match: Match, /) -> Iterator[Match]:
        """See :meth:`Pattern.expand`."""
        op = wiring.producer(value_name, *self.op_types)
        count = len(self.operands)
        if op is None or len(op.inputs) < count:
            return
        names, extras = op.inputs[:count], op.inputs[count:]
        if not all(wiring.is_weight(extra) for extra in extras if extra):
            return
        if self.where is not None and not self.where(op, wiring):
            return
        yield from self._expand_operands(op, names, wiring, match)
        if count == 2 and op.op_type in _COMMUTATIVE:
            yield from self._expand_operands(op, names[::-1], wiring, match)

    def _expand_operands(self, op: Op, names: tuple[str, ...], wiring: Wiring, match: Match) -> Iterator[Match]:
        if not all(operand.may_be(name, wiring) for operand, name in zip(self.operands, names, strict=True)):
            return
        ops = match.ops if op in match.ops else (*match.ops, op)
        labelled = {**match.labelled, self.label: op} if self.label else match.labelled
        partial: Iterator[Match] = iter((Match(match.values, ops, labelled),))
        for operand, name in zip(self.operands, names, strict=True):
            partial = _extended(partial, operand, name, wiring)
        yield from partial

    @property
    def root_types(self) -> frozenset[str]:
        """Operators that can make the result."""
        return frozenset(self.op_types)

    @property
    def needed_types(self) -> frozenset[str]:
        """See :attr:`Pattern.needed_types`."""
        own = self.root_types if len(self.op_types) == 1 else frozenset()
        return own.union(*(operand.needed_types for operand in self.operands))


def call(
    op_types: str,
    *operands: Pattern,
    where: Callable[[Op, Wiring], bool] | None = None,
    label: str = "",
) -> Call:
    """A :class:`Call`; several operators are separated by bars, as in ``"Mul|Div"``."""
    return Call(tuple(op_types.split("|")), operands, where, label)


def scaled(pattern: Pattern, factor: float | None = None) -> OneOf:
    """``pattern`` times a known number, written as a product or as a quotient."""
    return OneOf(
        (
            call("Mul", pattern, Scalar(factor)),
            call("Div", pattern, Scalar(None if factor is None else 1 / factor)),
        )
    )


def product(first: Pattern, second: Pattern, factor: float | None = None) -> OneOf:
    """``first * second * factor``, in any order of multiplication."""
    return OneOf(
        (
            scaled(call("Mul", first, second), factor),
            call("Mul", scaled(first, factor), second),
            call("Mul", first, scaled(second, factor)),
        )
    )


def matches(pattern: Pattern, root: Op, wiring: Wiring) -> Iterator[Match]:
    """Every way ``root`` makes an instance of ``pattern`` whose inner results are read inside it only.

    An inner result that is an operand of the whole expression too does not count as
    inner: it would be missing once the expression is replaced.
    """
    for match in pattern.expand(root.outputs[0], wiring, Match({}, (), {})):
        inner = [output for op in match.ops[1:] for output in op.outputs if output]
        operands = match.values.values()
        if all(output not in operands and wiring.is_private(output, match.ops) for output in inner):
            yield match


def _extended(partial: Iterator[Match], pattern: Pattern, name: str, wiring: Wiring) -> Iterator[Match]:
    for match in partial:
        yield from pattern.expand(name, wiring, match)


def _bound(label: str, value_name: str, match: Match) -> Iterator[Match]:
    known = match.values.get(label)
    if known is None:
        yield match._replace(values={**match.values, label: value_name})
    elif known == value_name:
        yield match


_COMMUTATIVE = frozenset({"Add", "Mul", "Max", "Min"})
