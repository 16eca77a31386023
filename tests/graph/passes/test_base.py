from __future__ import annotations

from dataclasses import replace

import pytest

from costmodel.errors import GraphError
from costmodel.graph.op_graph import OpGraph
from costmodel.graph.passes import Pass


class Returns(Pass):
    def __init__(self, result: OpGraph) -> None:
        self.result = result

    def run(self, graph: OpGraph) -> OpGraph:
        return self.result


def test_a_pass_may_not_change_an_output_or_an_input_or_forget_a_shape(g):
    x = g.input(2, 3)
    y = g.op("Relu", x)
    z = g.op("ReduceSum", y, shape=(2,))
    graph = g.graph(z)

    with pytest.raises(GraphError, match=r"Returns broke its contract .* outputs"):
        Returns(graph.replaced(graph.ops, outputs=[y]))(graph)
    with pytest.raises(GraphError, match="the inputs"):
        Returns(OpGraph(graph.ops, graph.values.values(), [], graph.outputs))(graph)

    unknown = replace(graph.values[y], name="unknown", shape=None)
    ops = [replace(graph.ops[0], outputs=("unknown",)), replace(graph.ops[1], inputs=("unknown",))]
    with pytest.raises(GraphError, match="none for 'unknown'"):
        Returns(graph.replaced(ops, [unknown]))(graph)

    assert Returns(graph)(graph) is graph
