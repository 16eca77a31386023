"""The contract of a simplification pass."""

from __future__ import annotations

from abc import ABC, abstractmethod

from costmodel.errors import GraphError
from costmodel.graph.dtypes import DType
from costmodel.graph.op_graph import OpGraph, Value

__all__ = ["Pass"]


class Pass(ABC):
    """A rewriting of a graph into an equivalent one.

    A pass never changes the graph it is given.  It returns that same object when
    it has nothing to do, so ``result is graph`` tells whether anything happened,
    and it is idempotent: a second run finds nothing left.
    """

    def __call__(self, graph: OpGraph) -> OpGraph:
        """``graph`` rewritten by :meth:`run`, after a check that the result is a fair replacement.

        Args:
            graph: The graph to simplify; left as it is.  Its operations have the operands their type
                requires, see :func:`~costmodel.graph.passes.operands.check_operands`.

        Returns:
            A graph with the same inputs and as many outputs, of the same shapes and
            dtypes; ``graph`` itself when nothing changed.

        Raises:
            GraphError: The pass broke its contract: an input is gone, an output has
                another shape or dtype, or a new tensor has no known shape or dtype.
        """
        result = self.run(graph)
        if result is not graph:
            self._check(graph, result)
        return result

    @abstractmethod
    def run(self, graph: OpGraph) -> OpGraph:
        """The rewriting itself; callers use the instance as a function."""

    def _check(self, before: OpGraph, after: OpGraph) -> None:
        if after.inputs != before.inputs:
            raise self._broken(before, f"the inputs {before.inputs}", f"{after.inputs}")
        old_outputs = [_kind(before.values[name]) for name in before.outputs]
        new_outputs = [_kind(after.values[name]) for name in after.outputs]
        if new_outputs != old_outputs:
            raise self._broken(before, f"outputs of (dtype, shape) {old_outputs}", f"{new_outputs}")
        for value in after.values.values():
            if (value.shape is None or value.dtype is DType.UNKNOWN) and value.name not in before.values:
                raise self._broken(before, "a shape and a dtype for every new tensor", f"none for {value.name!r}")

    def _broken(self, graph: OpGraph, expected: str, got: str) -> GraphError:
        return GraphError(
            f"the pass {type(self).__name__} broke its contract on graph {graph.name!r}: "
            f"expected {expected}, got {got}. "
            "This is a fault of the pass, not of the model; leave the pass out and report it with the model."
        )


def _kind(value: Value) -> tuple[DType, tuple[int, ...] | None]:
    return value.dtype, value.shape
