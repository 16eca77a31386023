"""The part of an fx graph around a change, as a graph of its own."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx
from torch._guards import detect_fake_mode
from torch.utils import _pytree as pytree

from costmodel.errors import UsageError

__all__ = ["GraphState", "changed_nodes", "neighbourhood", "window_graph"]

_Call = tuple[Any, tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True)
class GraphState:
    """What an fx graph is at one moment: nodes that are changed or erased later are remembered as they were.

    Attributes:
        calls: Target and arguments of every node, in order.
        inputs: Nodes that each node reads.
        readers: Nodes that read each node.
    """

    calls: Mapping[fx.Node, _Call]
    inputs: Mapping[fx.Node, Sequence[fx.Node]]
    readers: Mapping[fx.Node, Sequence[fx.Node]]

    @classmethod
    def of(cls, graph: fx.Graph) -> GraphState:
        """``graph`` as it is now."""
        calls: dict[fx.Node, _Call] = {}
        inputs: dict[fx.Node, Sequence[fx.Node]] = {}
        readers: dict[fx.Node, list[fx.Node]] = {}
        for node in graph.nodes:
            calls[node] = (node.target, node.args, node.kwargs)
            inputs[node] = node.all_input_nodes
            readers[node] = []
            for source in inputs[node]:
                readers[source].append(node)
        return cls(calls, inputs, readers)


def changed_nodes(before: GraphState, after: GraphState) -> set[fx.Node]:
    """Nodes that came, went, or call something else or with other arguments."""
    changed = before.calls.keys() ^ after.calls.keys()
    changed |= {
        node for node, call in after.calls.items() if node not in changed and not _same(before.calls[node], call)
    }
    return {node for node in changed if node.op != "output"}


def _same(one: _Call, other: _Call) -> bool:
    # fx gives a node new tuples when its arguments change, and leaves them alone otherwise.
    return one[0] is other[0] and one[1] is other[1] and one[2] is other[2]


def neighbourhood(state: GraphState, nodes: Iterable[fx.Node], reach: int) -> set[fx.Node]:
    """``nodes`` and the calls within ``reach`` steps of them, up or down; picking a result is no step."""
    found = {node for node in nodes if node in state.calls}
    edge = found
    for _ in range(reach):
        edge = {far for node in edge for far in _beside(node, state)} - found
        found = found | edge
    return found


def _beside(node: fx.Node, state: GraphState) -> Iterator[fx.Node]:
    for near in (*state.inputs[node], *state.readers[node]):
        if near.op == "call_function":
            yield near
            if near.target is operator.getitem:
                yield from (far for far in (*state.inputs[near], *state.readers[near]) if far.op == "call_function")


def window_graph(module: fx.GraphModule, state: GraphState, near: Set[fx.Node]) -> fx.Graph:
    """The calls of ``near`` as a graph, in which what they read from elsewhere is an input.

    Args:
        module: Whose attributes the nodes name.
        state: The graph that the calls are taken from.
        near: Some of its nodes, and perhaps others.

    Returns:
        The graph; its first input is that of the network, so that its batch is too.

    Raises:
        UsageError: The shape of a new node cannot be inferred.
    """
    calls = [node for node in state.calls if node in near and node.op == "call_function"]
    window = fx.Graph(owning_module=module)
    copies: dict[fx.Node, fx.Node] = {}
    first = next((node for node in state.calls if node.op == "placeholder" and _shape(node)), None)
    sources = [first] if first is not None else []
    sources += [source for node in calls for source in state.inputs[node] if source not in near]
    sources += [source for node in calls for source in state.inputs[node] if source.op != "call_function"]
    for source in dict.fromkeys(sources):
        copies[source] = _source(window, source, state)
    for node in calls:
        target, args, kwargs = state.calls[node]
        args, kwargs = fx.map_arg(args, copies.__getitem__), fx.map_arg(kwargs, copies.__getitem__)
        copies[node] = copy = window.create_node("call_function", target, args, kwargs, name=node.name)
        copy.meta = node.meta if "val" in node.meta else {**node.meta, "val": _inferred(node, state)}
    window.output(tuple(copies[node] for node in calls if any(reader not in near for reader in state.readers[node])))
    return window


def _source(window: fx.Graph, node: fx.Node, state: GraphState) -> fx.Node:
    """What a call of the window reads: a weight, or what the network has computed by then."""
    target = state.calls[node][0]
    if node.op == "get_attr":
        copy = window.create_node("get_attr", target, name=node.name)
    else:
        copy = window.create_node("placeholder", node.name, name=node.name)
    copy.meta = node.meta
    if "val" not in node.meta and node.op != "get_attr":
        copy.meta = {**node.meta, "val": _inferred(node, state)}
    return copy


def _shape(node: fx.Node) -> tuple[int, ...]:
    return tuple(getattr(node.meta.get("val"), "shape", ()))


def _inferred(node: fx.Node, state: GraphState) -> Any:
    """What a call returns, on fake tensors; kept in its ``meta``."""
    target, args, kwargs = state.calls[node]
    held = fx.map_arg((args, kwargs), lambda source: _value(source, state))
    mode = detect_fake_mode(pytree.tree_leaves(held))
    try:
        if mode is None:
            value = target(*held[0], **held[1])
        else:
            args, kwargs = pytree.tree_map_only(torch.Tensor, mode.from_tensor, held)
            with mode:
                value = target(*args, **kwargs)
    except Exception as error:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise UsageError(
            f"fx node {node.name!r} has no meta['val'] and its shape cannot be inferred: {reason} "
            "Expected a call of an ATen operator that fits its arguments."
        ) from error
    node.meta["val"] = value
    return value


def _value(node: fx.Node, state: GraphState) -> Any:
    if "val" in node.meta:
        return node.meta["val"]
    if node.op == "get_attr":
        value: Any = node.graph.owning_module
        for part in str(state.calls[node][0]).split("."):
            value = getattr(value, part)
        return value
    return _inferred(node, state)
