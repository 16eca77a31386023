"""Whether a local change of an fx graph makes it faster, answered in milliseconds."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from torch import fx

from costmodel.errors import UsageError
from costmodel.graph import load_graph
from costmodel.graph.passes import simplify
from costmodel.graph.torch import from_fx, is_traced
from costmodel.integrations.torch.default_predictor import default_predictor
from costmodel.integrations.torch.graph_part import GraphPart
from costmodel.integrations.torch.graph_window import GraphState, changed_nodes, neighbourhood, window_graph
from costmodel.predictor import Predictor

__all__ = ["RewriteMeter"]

_REACH = 1
"""Calls around a change that are read with it, in case they are fused with it or no longer are."""


class RewriteMeter:
    """Predicts what rewriting an fx graph does to its latency, from the part around the change alone.

    >>> meter = RewriteMeter(graph_module, "rtx3090-pt2.4-amp-nhwc")  # doctest: +SKIP
    >>> replace_some_nodes(graph_module)  # doctest: +SKIP
    >>> if meter.change_ms() < 0:  # doctest: +SKIP
    ...     meter.accept()

    The whole graph is predicted here and by :meth:`accept`.  A change is predicted from the operations around it, as
    they were and as they are, by one member of the ensemble; what they take more or less is taken in proportion of what
    the ensemble says they took as part of the network.

    Args:
        graph_module: ATen calls with ``meta["val"]``, as ``make_fx`` and ``torch.export`` make them.  New nodes may
            lack it: it is inferred on fake tensors, and put there.
        platform: Name, alias or glob of one platform.
        predictor: What predicts; by default the weights that come with the package.

    Raises:
        UsageError: The graph has other nodes, or nodes without shapes.
        UnknownNameError: No platform goes by that name.
        UnsupportedModelError: Nothing in the graph takes time.
    """

    def __init__(self, graph_module: fx.GraphModule, platform: str, *, predictor: Predictor | None = None) -> None:
        if not is_traced(graph_module.graph):
            raise UsageError(
                "expected a graph of ATen calls whose nodes have meta['val']; trace this one first: "
                "torch.fx.experimental.proxy_tensor.make_fx(graph_module, tracing_mode='fake')(*example_inputs)."
            )
        self.graph_module = graph_module
        self._predictor = default_predictor() if predictor is None else predictor
        self._member = replace(self._predictor.bundle, members=self._predictor.bundle.members[:1])
        self.platform = self._predictor.platforms.find(platform).name
        self._whole = self._read()

    @property
    def latency_ms(self) -> float:
        """Milliseconds of the graph as it was when last accepted."""
        return float(self._whole.op_ms.sum())

    def change_ms(self) -> float:
        """Milliseconds that the graph takes more than when it was last accepted; negative where it takes less.

        Raises:
            UsageError: A new node is no ATen call, or its shape cannot be inferred.
        """
        whole, state = self._whole, GraphState.of(self.graph_module.graph)
        changed = changed_nodes(whole.state, state)
        if not changed:
            return 0.0
        near = neighbourhood(whole.state, changed, _REACH) | neighbourhood(state, changed, _REACH)
        rows = whole.part.touched({node.name for node in near})
        before = whole.part.subset(rows)
        names = {name for sources in before.sources for name in sources}
        window = window_graph(self.graph_module, state, near | {node for node in state.calls if node.name in names})
        after = GraphPart.of(simplify(from_fx(window))).described_as_in(before)
        before_ms, after_ms = self._member_ms(before, after)
        known_ms = float(whole.op_ms[rows].sum())
        return known_ms * (after_ms / before_ms - 1) if before_ms else after_ms

    def accept(self) -> float:
        """Predict the whole graph as it is; later changes are compared with it.

        Returns:
            The change in milliseconds since it was last accepted.
        """
        before_ms = self.latency_ms
        self._whole = self._read()
        return self.latency_ms - before_ms

    def _read(self) -> _Whole:
        graph = load_graph(self.graph_module)
        prediction = self._predictor.predict(graph, self.platform)
        op_ms = np.array([op.latency_ms for op in prediction.per_op])
        return _Whole(GraphState.of(self.graph_module.graph), GraphPart.of(graph), op_ms)

    def _member_ms(self, *parts: GraphPart) -> list[float]:
        """Milliseconds of each part by one member; 0 where it is empty."""
        filled = [part.features for part in parts if len(part.features)]
        batch = self._whole.part.features.batch
        predictions = iter(self._member.predict(filled, [self.platform], [batch] * len(filled)))
        return [next(predictions)[0].latency_ms if len(part.features) else 0.0 for part in parts]


@dataclass(frozen=True)
class _Whole:
    """A graph that was predicted as a whole.

    Attributes:
        state: Its nodes.
        part: Its operations.
        op_ms: What each of them takes.
    """

    state: GraphState
    part: GraphPart
    op_ms: Float[np.ndarray, "nodes"]
