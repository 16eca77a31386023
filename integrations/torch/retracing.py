"""An ``fx.GraphModule`` of modules and functions → one of ATen calls that know the node they come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import fx
from torch.fx import traceback as fx_traceback
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils import _pytree as pytree

from costmodel.errors import UnsupportedModelError, UsageError
from costmodel.graph.torch import stand_in
from costmodel.integrations.torch.evaluation_mode import evaluation_mode

__all__ = ["retraced"]


def retraced(graph_module: fx.GraphModule, example_inputs: Sequence[Any] = ()) -> fx.GraphModule:
    """Trace a graph down to ATen calls, on fake tensors: nothing is computed.

    Args:
        graph_module: As ``fx.symbolic_trace`` and graph passes make it; left as it is.
        example_inputs: Its positional arguments; without them, what its placeholders carry in ``meta["val"]``.

    Returns:
        The calls.  As the module that each was written in, it names the node of ``graph_module`` that it comes from.

    Raises:
        UsageError: Neither were example inputs given nor do all placeholders carry one.
        UnsupportedModelError: A node cannot be traced; the message names it.
    """
    inputs = tuple(example_inputs) or _carried(graph_module)
    device = next((tensor.device for tensor in graph_module.state_dict().values()), None)
    if device is not None:
        inputs = pytree.tree_map_only(torch.Tensor, lambda tensor: stand_in(tensor, device), inputs)
    interpreter = _Interpreter(graph_module, graph=_marked(graph_module.graph))
    try:
        with evaluation_mode(graph_module), fx_traceback.preserve_node_meta():
            traced = make_fx(interpreter.run, tracing_mode="fake", _allow_non_fake_inputs=True)(*inputs)
    except Exception as error:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise UnsupportedModelError(
            f"fx node {interpreter.at_work!r} cannot be traced: {reason} Expected a graph that runs on these inputs."
        ) from error
    return traced


class _Interpreter(fx.Interpreter):
    """Remembers the node it is at, for the message of an error."""

    at_work = ""

    def run_node(self, n: fx.Node) -> Any:
        self.at_work = n.name
        return super().run_node(n)


def _marked(graph: fx.Graph) -> fx.Graph:
    """A copy of ``graph`` in which each node claims to be a module of its own name."""
    marked = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    marked.output(marked.graph_copy(graph, copies))
    for node, copy in copies.items():
        copy.meta["nn_module_stack"] = {node.name: (node.name, torch.nn.Module)}
    return marked


def _carried(graph_module: fx.GraphModule) -> tuple[Any, ...]:
    placeholders = graph_module.graph.find_nodes(op="placeholder")
    bare = [node.name for node in placeholders if "val" not in node.meta]
    if bare:
        raise UsageError(
            f"the graph's inputs {', '.join(bare)} carry no meta['val'], so that shapes in it are unknown. "
            "Give example inputs: LatencyPass(example_inputs)."
        )
    return tuple(node.meta["val"] for node in placeholders)
