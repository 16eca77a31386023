"""A torch module, or any other model, → the graph that is profiled."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.utils import _pytree as pytree

from costmodel.errors import UnsupportedModelError, UsageError
from costmodel.graph import OpGraph, load_graph
from costmodel.graph.torch import from_torch
from costmodel.integrations.torch.recorded_run import recorded_run
from costmodel.predictor import Model

__all__ = ["read_model"]

logger = logging.getLogger(__name__)


def read_model(
    model: Model,
    example_inputs: torch.Tensor | Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    batch: int | None = None,
) -> OpGraph:
    """Read a model and simplify it.

    A module that ``torch.export`` cannot trace is run once on its inputs, if it has any, and what it calls is recorded.

    Args:
        model: What :func:`costmodel.graph.load_graph` reads.
        example_inputs: Positional arguments of a module; a lone tensor is one argument.
        kwargs: Keyword arguments of a module.
        batch: Images a run; every tensor whose first size is that of the first tensor is enlarged or cut to it.

    Raises:
        UsageError: The arguments do not go with this kind of model.
        UnsupportedModelError: The model can neither be traced nor run.
    """
    if not isinstance(model, torch.nn.Module):
        if kwargs:
            raise UsageError(f"kwargs go with a torch module, got them with a {type(model).__name__}; leave them out.")
        inputs = tuple(example_inputs) if len(example_inputs) else None
        return load_graph(model, batch=batch, example_inputs=inputs)
    positional = (example_inputs,) if isinstance(example_inputs, torch.Tensor) else tuple(example_inputs)
    keywords = dict(kwargs or {})
    if batch is not None:
        positional, keywords = _at_batch(positional, keywords, batch)
    try:
        graph = from_torch(model, positional, kwargs=keywords)
    except UnsupportedModelError as error:
        logger.warning("%s It is run once instead, for these inputs.", error)
        graph = from_torch(recorded_run(model, positional, keywords, error), name=type(model).__name__)
    return load_graph(graph)


def _at_batch(
    positional: tuple[Any, ...], keywords: dict[str, Any], batch: int
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments with another first size, where they have that of the first tensor."""
    if batch < 1:
        raise UsageError(f"batch: expected at least 1, got {batch}.")
    tensors = [leaf for leaf in pytree.tree_leaves((positional, keywords)) if getattr(leaf, "ndim", 0)]
    if not tensors:
        raise UsageError("a torch model needs example_inputs to be read at another batch; give it a tensor.")
    images = tensors[0].shape[0]

    def resized(tensor: torch.Tensor) -> torch.Tensor:
        if not tensor.ndim or tensor.shape[0] != images:
            return tensor
        return tensor[:1].expand(batch, *tensor.shape[1:])

    changed: tuple[tuple[Any, ...], dict[str, Any]] = pytree.tree_map_only(
        torch.Tensor, resized, (positional, keywords)
    )
    return changed
