"""A torch module → :class:`~costmodel.graph.OpGraph`, by a run on fake tensors.

``torch.export`` does that too, and then much that only a program to be run again needs; it takes twice as long.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import attrgetter
from typing import Any

import torch
from torch import fx, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils import _pytree as pytree

from costmodel.errors import UnsupportedModelError
from costmodel.graph.op_graph import OpGraph, ValueKind
from costmodel.graph.torch import aten
from costmodel.graph.torch.fx_reader import from_fx
from costmodel.graph.torch.inference_mode import inference_mode
from costmodel.graph.torch.module_paths import recorded_paths

__all__ = ["from_fake_run"]


def from_fake_run(model: nn.Module, positional: tuple[Any, ...], keywords: dict[str, Any], name: str) -> OpGraph:
    """Read a module as it runs at inference, its operators as ``torch.export`` leaves them.

    Args:
        model: Left as it is: nothing is computed, and what it keeps of a run is taken away again.
        positional: Positional arguments of ``forward``, on the module's device.
        keywords: Keyword arguments.
        name: Name of the resulting graph.

    Raises:
        UnsupportedModelError: The module does something that depends on data, or calls an operator that has to be
            taken apart.
        Exception: Whatever else the module raises when it is run.
    """
    weights = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    flat, structure = pytree.tree_flatten((positional, keywords))
    tensors = [leaf for leaf in flat if isinstance(leaf, torch.Tensor)]

    def forward(*given: torch.Tensor) -> Any:
        held = dict(zip(weights, given, strict=False))
        replacements = iter(given[len(weights) :])
        leaves = [next(replacements) if isinstance(leaf, torch.Tensor) else leaf for leaf in flat]
        args, kwargs = pytree.tree_unflatten(leaves, structure)
        return torch.func.functional_call(model, held, args, kwargs)

    fake = FakeTensorMode(allow_non_fake_inputs=True)
    with inference_mode(model), _unchanged(model), recorded_paths(model), fake:
        stand_ins = [
            torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=tensor.device)
            for tensor in (*weights.values(), *tensors)
        ]
        traced = make_fx(forward, pre_dispatch=True, _allow_non_fake_inputs=True)(*stand_ins)
    _check_operators(traced.graph)
    return _read(traced, model, weights, _input_names(model, positional, keywords), name)


def _read(
    traced: fx.GraphModule, model: nn.Module, weights: Mapping[str, torch.Tensor], inputs: Sequence[str], name: str
) -> OpGraph:
    placeholders = [node.name for node in traced.graph.find_nodes(op="placeholder")]
    of_weights, of_inputs = placeholders[: len(weights)], placeholders[len(weights) :]
    persistent = model.state_dict(keep_vars=True)
    taken = {node.name for node in traced.graph.nodes}
    renamed = dict(zip(placeholders, _unique([*map(_weight_name, weights.items()), *inputs], taken), strict=True))
    held = {node.name: attrgetter(node.target)(traced) for node in traced.graph.find_nodes(op="get_attr")}
    first: dict[int, str] = {}
    return from_fx(
        traced.graph,
        {**dict.fromkeys(of_weights, ValueKind.WEIGHT), **dict.fromkeys(of_inputs, ValueKind.INPUT)},
        constants={
            placeholder: tensor
            for placeholder, (path, tensor) in zip(of_weights, weights.items(), strict=True)
            if path not in persistent
        },
        aliases={**renamed, **{name: first.setdefault(id(tensor), name) for name, tensor in held.items()}},
        name=name,
    )


def _check_operators(graph: fx.Graph) -> None:
    """Refuse operators that are only known by what torch makes of them."""
    targets = {node.target for node in graph.nodes if isinstance(node.target, torch._ops.OpOverload)}
    unknown = [target for target in targets if not aten.is_known(target._schema)]
    if unknown:
        raise UnsupportedModelError(f"{unknown[0]} has no lowering; expected operators that have one.")


def _weight_name(named: tuple[str, torch.Tensor]) -> str:
    path, tensor = named
    return ("p_" if isinstance(tensor, nn.Parameter) else "b_") + path.replace(".", "_")


def _input_names(model: nn.Module, positional: tuple[Any, ...], keywords: dict[str, Any]) -> list[str]:
    """A name for each tensor in the arguments, in their order: that of its parameter, and where in it it is."""
    signature = inspect.signature(model.forward)
    variadic = {kind.name for kind in signature.parameters.values() if kind.kind is inspect.Parameter.VAR_KEYWORD}
    bound = signature.bind(*positional, **keywords).arguments
    at_place = {name: value for name, value in bound.items() if name not in {*keywords, *variadic}}
    leaves = [*pytree.tree_leaves_with_path(at_place), *pytree.tree_leaves_with_path(keywords)]
    return [
        "_".join(str(getattr(key, "key", getattr(key, "idx", getattr(key, "name", key)))) for key in path)
        for path, leaf in leaves
        if isinstance(leaf, torch.Tensor)
    ]


def _unique(names: Sequence[str], taken: set[str]) -> Iterator[str]:
    """Each name, with something behind it where it is taken."""
    taken = set(taken)
    for name in names:
        unique, number = name, 0
        while unique in taken:
            number += 1
            unique = f"{name}_{number}"
        taken.add(unique)
        yield unique


@contextmanager
def _unchanged(model: nn.Module) -> Iterator[None]:
    """In the end, attributes of modules, and lists and dicts in them, are what they were: a run may keep tensors."""
    kept = [(held, held.copy()) for part in model.modules() for held in _containers(vars(part))]
    try:
        yield
    finally:
        for held, before in kept:
            if isinstance(held, list):
                held[:] = before
            elif held.keys() != before.keys() or any(held[key] is not value for key, value in before.items()):
                held.clear()
                held.update(before)


def _containers(attributes: dict[str, Any]) -> Iterator[Any]:
    yield attributes
    yield from (value for value in attributes.values() if type(value) in (dict, list))
