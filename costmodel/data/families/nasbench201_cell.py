"""The cell of NAS-Bench-201: four nodes, six edges, five operations (Dong and Yang, 2020)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from costmodel.data.families.activation import Activation
from costmodel.data.families.builder import NetworkBuilder, Tensor
from costmodel.data.families.sampling import choose
from costmodel.errors import UsageError

__all__ = ["OPERATIONS", "Cell", "Edge"]

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")

_NODES = 4
_NODE_PATTERN = re.compile(r"\|(?:\w+~\d+\|)+")


@dataclass(frozen=True, slots=True)
class Edge:
    """The operation that carries node ``source`` of a cell to node ``target``."""

    source: int
    target: int
    operation: str


@dataclass(frozen=True)
class Cell:
    """A cell: four nodes, node 0 the input and node 3 the output, each the sum of its incoming edges.

    Attributes:
        edges: One for every pair of an earlier and a later node, ordered by target, then source.
    """

    edges: tuple[Edge, ...]

    @classmethod
    def parse(cls, arch: str) -> Cell:
        """Read the published form ``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|``.

        Raises:
            UsageError: The text has another form or names an unknown operation.
        """
        edges: list[Edge] = []
        nodes = arch.strip().split("+")
        for target, node in enumerate(nodes, start=1):
            if not _NODE_PATTERN.fullmatch(node):
                raise _bad_architecture(arch, f"found {node!r}")
            for operation, source in (text.split("~") for text in node.strip("|").split("|")):
                if operation not in OPERATIONS:
                    raise _bad_architecture(arch, f"found the operation {operation!r}")
                edges.append(Edge(int(source), target, operation))
        found = [(edge.source, edge.target) for edge in edges]
        expected = [(source, target) for target in range(1, _NODES) for source in range(target)]
        if found != expected:
            raise _bad_architecture(arch, f"found edges (source, target) {found}")
        return cls(tuple(edges))

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Cell:
        """A random cell whose output depends on its input."""
        while True:
            cell = cls(
                tuple(
                    Edge(source, target, choose(rng, OPERATIONS))
                    for target in range(1, _NODES)
                    for source in range(target)
                )
            )
            if cell.live_edges:
                return cell

    @cached_property
    def live_edges(self) -> tuple[Edge, ...]:
        """The edges on a path from the input to the output; empty when ``none`` cuts them all."""
        open_edges = [edge for edge in self.edges if edge.operation != "none"]
        reached = {0}
        for edge in open_edges:
            if edge.source in reached:
                reached.add(edge.target)
        needed = {_NODES - 1}
        for edge in reversed(open_edges):
            if edge.target in needed:
                needed.add(edge.source)
        return tuple(edge for edge in open_edges if edge.source in reached and edge.target in needed)

    def apply(self, net: NetworkBuilder, x: Tensor, *, every_edge: bool = False) -> Tensor:
        """Add the cell to ``net``, reading ``x``.

        Edges that ``none`` makes dead are left out, and with them the constant
        that a convolution's bias would make of a dead node's zeros: it changes
        values, not the work.  A cell without any live edge still multiplies its
        input by zero, as the published network does, so the layers in front of
        it keep their place in the graph.

        Args:
            net: Where to add it.
            x: Its input.
            every_edge: Whether to build the dead edges all the same, ``none`` as a product by zero: a framework
                that runs the network as it is written does that work.
        """
        if not (every_edge or self.live_edges):
            return net.zeros_like(x)
        nodes: dict[int, Tensor] = {0: x}
        for target in range(1, _NODES):
            terms = []
            for edge in self.edges if every_edge else self.live_edges:
                if edge.target == target:
                    with net.scope(f"node{target}.from{edge.source}"):
                        terms.append(_operation(net, nodes[edge.source], edge.operation))
            if terms:
                with net.scope(f"node{target}"):
                    nodes[target] = net.add(*terms)
        return nodes[_NODES - 1]


def _operation(net: NetworkBuilder, x: Tensor, operation: str) -> Tensor:
    match operation:
        case "nor_conv_1x1":
            return net.conv(net.activation(x, Activation.RELU), x.channels, 1)
        case "nor_conv_3x3":
            return net.conv(net.activation(x, Activation.RELU), x.channels, 3)
        case "avg_pool_3x3":
            return net.avg_pool(x, 3, 1, padding=1)
        case "none":
            return net.zeros_like(x)
        case _:
            return x


def _bad_architecture(arch: str, found: str) -> UsageError:
    return UsageError(
        f"NAS-Bench-201 architecture {arch!r}: expected |op~0|+|op~0|op~1|+|op~0|op~1|op~2| with op one of "
        f"{', '.join(OPERATIONS)}; {found}."
    )
