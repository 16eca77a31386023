"""What a module calls when it is run: for modules that ``torch.export`` cannot trace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import fx, nn
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils import _pytree as pytree

from costmodel.errors import UnsupportedModelError
from costmodel.graph.torch import recorded_paths
from costmodel.integrations.torch.evaluation_mode import evaluation_mode

__all__ = ["recorded_run"]


def recorded_run(
    module: nn.Module, positional: Sequence[Any], keywords: Mapping[str, Any], cause: Exception
) -> fx.GraphModule:
    """Run a module once and record the ATen operators it calls, each with the path of the module that calls it.

    Branches and loops that depend on the data are recorded as these inputs take them.  The module needs its weights and
    inputs for that, so that one on the ``meta`` device may fail.

    Args:
        module: Run in evaluation mode; its modes and its state stay as they are.
        positional: Positional arguments of ``forward``.
        keywords: Keyword arguments.
        cause: Why it has to be run; told if it fails too.

    Raises:
        UnsupportedModelError: It fails when it is run; the message names the innermost module that was at work.
    """
    running: list[str] = []
    flat, structure = pytree.tree_flatten((tuple(positional), dict(keywords)))
    tensors = [leaf for leaf in flat if isinstance(leaf, torch.Tensor)]

    def forward(*given: torch.Tensor) -> Any:
        replacements = iter(given)
        leaves = [next(replacements) if isinstance(leaf, torch.Tensor) else leaf for leaf in flat]
        args, kwargs = pytree.tree_unflatten(leaves, structure)
        return module(*args, **kwargs)

    try:
        with evaluation_mode(module), recorded_paths(module, running):
            recorded = make_fx(forward, _error_on_data_dependent_ops=False)(*tensors)
    except Exception as error:
        place = f" in the module {running[-1]!r}" if running and running[-1] else ""
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise UnsupportedModelError(
            f"{cause} Running {type(module).__name__} once instead failed{place}: {reason} "
            "Expected a module that runs on these example inputs; give it weights and real tensors."
        ) from error
    _drop_numbers(recorded.graph)
    return recorded


def _drop_numbers(graph: fx.Graph) -> None:
    """Remove what hands numbers to Python: those that are used again stand in the graph as constants."""
    for node in reversed(graph.nodes):
        if node.op == "call_function" and "val" not in node.meta and not node.users:
            graph.erase_node(node)
