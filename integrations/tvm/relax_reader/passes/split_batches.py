"""Products of batches with their dimensions of batches as they were."""

from __future__ import annotations

from dataclasses import replace

from costmodel.graph.op_graph import Op, OpGraph
from costmodel.graph.passes import Pass
from costmodel.graph.passes.matching import Wiring
from costmodel.graph.passes.rewriting import Rewriter

__all__ = ["SplitBatches"]


class SplitBatches(Pass):
    """Multiply stacks of matrices as they are where a frontend first made one long stack of each.

    That moves no element, but hides what the product belongs to, such as attention.

    1. ``MatMul(Reshape(a), Reshape(b))`` of (1, 8, 5, 4) and (1, 8, 4, 5) as (8, 5, 4) and (8, 4, 5) →
       ``Reshape(MatMul(a, b))``
    """

    def run(self, graph: OpGraph) -> OpGraph:
        """See :meth:`Pass.run`."""
        edits = Rewriter(graph)
        for op in graph.ops:
            if op.op_type == "MatMul" and not op.domain:
                _split(op, edits)
        return edits.apply()


def _split(product: Op, edits: Rewriter) -> None:
    stacks = [_unmerged(name, edits.wiring) for name in product.inputs]
    if not all(stacks):
        return
    left, right = (edits.wiring.shape(name) or () for name in stacks)
    if len(left) != len(right) or left[:-2] != right[:-2]:
        return
    result = edits.graph.values[product.outputs[0]]
    shape = (*left[:-1], right[-1])
    made = edits.declare(replace(result, name=edits.fresh_name(f"{result.name}.split"), shape=shape))
    merge = Op(edits.fresh_name(f"{product.name}.merge"), "Reshape", (made,), product.outputs[:1], scope=product.scope)
    edits.replace((product,), (replace(product, inputs=tuple(stacks), outputs=(made,)), merge))


def _unmerged(name: str, wiring: Wiring) -> str:
    """What was reshaped to the stack ``name`` by making one of its dimensions of batches; ``""`` for anything else."""
    reshape = wiring.producer(name, "Reshape")
    if reshape is None:
        return ""
    before, after = wiring.shape(reshape.inputs[0]), wiring.shape(name)
    if before is None or after is None or len(before) <= 3 or len(after) != 3 or before[-2:] != after[-2:]:
        return ""
    return reshape.inputs[0]
