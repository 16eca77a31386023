"""A pass that is a list of patterns and what each becomes."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, NamedTuple

from costmodel.graph.op_graph import Op, OpGraph
from costmodel.graph.passes.base import Pass
from costmodel.graph.passes.patterns import Match, Pattern, matches
from costmodel.graph.passes.rewriting import Rewriter

__all__ = ["PatternPass", "Rule"]


class Rule(NamedTuple):
    """An expression to look for and how to rewrite it.

    Attributes:
        pattern: The expression.
        rewrite: Records the edit for a match, or returns ``False`` when the match is not what it seems.
    """

    pattern: Pattern
    rewrite: Callable[[Match, Rewriter], bool]


class PatternPass(Pass):
    """Rewrites every instance of its rules, the largest first.

    Operations are visited from the outputs backwards, so that an expression is
    seen before the smaller ones inside it; rules are tried in order.
    """

    rules: ClassVar[tuple[Rule, ...]]

    def run(self, graph: OpGraph) -> OpGraph:
        """See :meth:`Pass.run`."""
        rules_by_type = _by_root_type(self._possible_rules(graph))
        if not rules_by_type:
            return graph
        edits = Rewriter(graph)
        for op in reversed(graph.ops):
            rules = rules_by_type.get(op.op_type)
            if rules and not op.domain and not edits.is_taken(op):
                _rewrite_first(rules, op, edits)
        return edits.apply()

    def _possible_rules(self, graph: OpGraph) -> list[Rule]:
        present = {op.op_type for op in graph.ops}
        return [rule for rule, needed in zip(self.rules, self._needed_types, strict=True) if needed <= present]

    _needed_types: ClassVar[tuple[frozenset[str], ...]]

    def __init_subclass__(cls) -> None:
        cls._needed_types = tuple(rule.pattern.needed_types for rule in cls.rules)


def _by_root_type(rules: list[Rule]) -> dict[str, list[Rule]]:
    rules_by_type: dict[str, list[Rule]] = {}
    for rule in rules:
        for op_type in rule.pattern.root_types:
            rules_by_type.setdefault(op_type, []).append(rule)
    return rules_by_type


def _rewrite_first(rules: list[Rule], root: Op, edits: Rewriter) -> None:
    for rule in rules:
        for match in matches(rule.pattern, root, edits.wiring):
            # What is inside a match nothing outside reads, so no other match of this sweep has taken it.
            if rule.rewrite(match, edits):
                return
