"""An fx pass that tells every node of a graph its predicted milliseconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import fx
from torch.fx.passes.infra.pass_base import PassBase, PassResult

from costmodel.graph.torch import is_traced
from costmodel.integrations.torch.default_predictor import default_predictor
from costmodel.integrations.torch.network_profile import Profile
from costmodel.integrations.torch.profiling import profile
from costmodel.integrations.torch.retracing import retraced
from costmodel.predictor import Predictor

__all__ = ["META_KEY", "LatencyPass"]

META_KEY = "predicted_latency_ms"
"""Where a node's ``meta`` has its milliseconds by platform."""


class LatencyPass(PassBase):
    """Puts milliseconds by name of the platform into ``node.meta["predicted_latency_ms"]`` of every node.

    An operation that several nodes were fused into counts at one of them; what is free has 0.  Over all nodes they add
    up to the latency of the graph.

    >>> LatencyPass((image,), platform="rtx3090*")(torch.fx.symbolic_trace(module))  # doctest: +SKIP

    Args:
        example_inputs: Positional arguments of the graphs; those of ATen calls with ``meta["val"]`` need none.
        platform: Name, alias or glob, or a list of those; ``None`` means every platform.
        predictor: What predicts; by default the weights that come with the package.
    """

    def __init__(
        self,
        example_inputs: torch.Tensor | Sequence[Any] = (),
        platform: str | Sequence[str] | None = None,
        *,
        predictor: Predictor | None = None,
    ) -> None:
        self._inputs = (example_inputs,) if isinstance(example_inputs, torch.Tensor) else tuple(example_inputs)
        self._platform = platform
        self._predictor = default_predictor() if predictor is None else predictor

    def call(self, graph_module: fx.GraphModule) -> PassResult:
        """Annotate ``graph_module``, whose graph stays as it is.

        Raises:
            UsageError: Shapes in the graph are unknown.
            UnknownNameError: No platform goes by that name.
            UnsupportedModelError: A node cannot be traced, or nothing in the graph takes time.
        """
        if is_traced(graph_module.graph):
            profiled = profile(graph_module, platform=self._platform, predictor=self._predictor)
            nodes = [row.sources[0] for row in profiled.operations]
        else:
            calls = retraced(graph_module, self._inputs)
            profiled = profile(calls, platform=self._platform, predictor=self._predictor)
            nodes = [row.module for row in profiled.operations]
        _annotate(graph_module.graph, profiled, nodes)
        return PassResult(graph_module, modified=False)


def _annotate(graph: fx.Graph, profiled: Profile, nodes: Sequence[str]) -> None:
    """Give the time of each operation to the node of the name that ``nodes`` has for it."""
    times = {node.name: dict.fromkeys(profiled.platforms, 0.0) for node in graph.nodes}
    for name, row in zip(nodes, profiled.operations, strict=True):
        for platform, time in row.work.times.items():
            times[name][platform] += time.latency_ms
    for node in graph.nodes:
        node.meta[META_KEY] = times[node.name]
