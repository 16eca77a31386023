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
        edits = Rewriter(graph)
        rules_by_type = self._rules_by_type
        for op in reversed(graph.ops):
            rules = rules_by_type.get(op.op_type)
            if rules and not op.domain and not edits.is_taken(op):
                _rewrite_first(rules, op, edits)
        return edits.apply()

    _rules_by_type: ClassVar[dict[str, list[Rule]]]

    def __init_subclass__(cls) -> None:
        cls._rules_by_type = {}
        for rule in cls.rules:
            for op_type in rule.pattern.root_types:
                cls._rules_by_type.setdefault(op_type, []).append(rule)


def _rewrite_first(rules: list[Rule], root: Op, edits: Rewriter) -> None:
    for rule in rules:
        for match in matches(rule.pattern, root, edits.wiring):
            # What is inside a match nothing outside reads, so no other match of this sweep has taken it.
            if rule.rewrite(match, edits):
                return
