"""Which node of a model a kernel of onnxruntime stands for, which rewrites the graph before it runs it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto

__all__ = ["KernelNodes", "name_nodes"]

_SUFFIX = re.compile(r"(_nchwc|_token_\d+|_quant|/\w*Fusion/?)$")
"""What optimisers append to the name of a node that they rewrite; several may follow each other."""


def name_nodes(model: ModelProto) -> None:
    """Give every node a name of its own, in place; those without one are called by their first result.

    A kernel of a node without a name is reported under a number that says nothing of the node.
    """
    taken: set[str] = set()
    for node in model.graph.node:
        name = node.name or next((result for result in node.output if result), node.op_type)
        while name in taken:
            name += "_"
        node.name = name
        taken.add(name)


class KernelNodes:
    """Finds the node of a kernel.

    Args:
        graph: The model's, every node with a name of its own.
        optimized: The graph that ran; ``None`` where the runtime could not write it down.
    """

    def __init__(self, graph: GraphProto, optimized: GraphProto | None) -> None:
        self._names = {node.name for node in graph.node}
        self._maker = {result: node.name for node in graph.node for result in node.output if result}
        nodes = () if optimized is None else optimized.node
        self._results: dict[str, Iterable[str]] = {node.name: node.output for node in nodes}

    def node_of(self, kernel: str) -> str | None:
        """The node that a kernel stands for; ``None`` if it is none of the model's.

        1. The node of the same name.
        2. The node that makes what the kernel makes, which the last of several fused nodes does.
        3. The node whose name is left when what optimisers append is taken off.
        """
        if kernel in self._names:
            return kernel
        made = next((self._maker[result] for result in self._results.get(kernel, ()) if result in self._maker), None)
        return made or self._stripped(kernel)

    def _stripped(self, name: str) -> str | None:
        while name not in self._names:
            shorter = _SUFFIX.sub("", name)
            if shorter == name:
                return None
            name = shorter
        return name
