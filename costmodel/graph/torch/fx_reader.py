"""An fx graph of ATen calls → :class:`~costmodel.graph.OpGraph`."""

from __future__ import annotations

import operator
from collections.abc import Collection, Mapping
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils import _pytree as pytree

from costmodel.errors import UnsupportedModelError, UsageError
from costmodel.graph.lowering import GraphBuilder
from costmodel.graph.op_graph import MAX_KEPT_ELEMENTS, OpGraph, ValueKind
from costmodel.graph.torch import aten
from costmodel.graph.torch.call import Call, Names
from costmodel.graph.torch.mutation import Mutations
from costmodel.graph.torch.tensor_types import dtype_of, shape_of

__all__ = ["from_fx"]


def from_fx(
    graph: fx.Graph,
    kinds: Mapping[str, str] | None = None,
    *,
    constants: Mapping[str, torch.Tensor] | None = None,
    aliases: Mapping[str, str] | None = None,
    outputs: Collection[str] | None = None,
    name: str = "",
) -> OpGraph:
    """Read a graph of ATen calls whose nodes carry fake or meta tensors.

    Of the tensors in ``node.meta["val"]`` only shape and element type are read;
    a symbolic size counts as the size it was traced with.

    Args:
        graph: ``call_function`` nodes of ATen operators, as in ``ExportedProgram.graph``.
        kinds: ``"input"`` or ``"weight"`` for placeholders by name; one that is not named is an input.
        constants: Elements of placeholders and attributes that are known, by name; small ones are kept.
        aliases: Placeholders that hold the same tensor as another one, with the name of that one: tied weights.
        outputs: Names of the returned nodes that the caller gets; by default all of them.
        name: Name of the resulting graph.

    Returns:
        The graph; an ATen operator without a lowering becomes an operation of the domain ``"aten"``.

    Raises:
        UsageError: A node has no ``meta["val"]``, or the graph calls modules or methods.
        UnsupportedModelError: The graph has control flow that depends on data.
    """
    reader = _Reader(kinds or {}, constants or {}, aliases or {})
    returned = reader.read(graph, {})
    names = [value for node, value in returned if outputs is None or node in outputs]
    return reader.builder.finish(reader.inputs, dict.fromkeys(names), name)


class _Reader:
    """Walks a graph and the graphs of its regions, each node once, in order."""

    def __init__(
        self, kinds: Mapping[str, str], constants: Mapping[str, torch.Tensor], aliases: Mapping[str, str]
    ) -> None:
        self.builder = GraphBuilder()
        self.inputs: list[str] = []
        self._kinds = kinds
        self._constants = constants
        self._aliases = aliases

    def read(self, graph: fx.Graph, arguments: Mapping[str, Names], region: str = "") -> list[tuple[str, str]]:
        """Emit the operations of ``graph``.

        Args:
            graph: The graph, or the body of a region.
            arguments: What the placeholders of a region's body stand for.
            region: Put in front of the names of the body's values; two bodies may use the same names.

        Returns:
            Name of each returned node and of the value that it stands for.
        """
        names: dict[fx.Node, Names] = {}
        mutations = Mutations(names)
        for node in graph.nodes:
            if node.op == "output":
                returned = [item for item in pytree.tree_leaves(node.args) if item in names]
                return [(item.name, value) for item in returned for value in _listed(names[item])]
            if node.op == "placeholder" and node.name in arguments:
                names[node] = arguments[node.name]
            elif node.op in ("placeholder", "get_attr"):
                self._read_source(node, names, region)
            elif node.op == "call_function":
                self._read_call(node, names, mutations, region)
            elif node.users:  # without users it is a check of the inputs, as exported programs have
                raise UsageError(
                    f"fx node {node.name!r} is a {node.op} of {node.target!r}, but only calls of ATen operators can be "
                    "read as they are. Pass the GraphModule and example inputs to from_torch instead."
                )
        return []

    def _read_source(self, node: fx.Node, names: dict[fx.Node, Names], region: str) -> None:
        """A placeholder or an attribute: a tensor that is there before the run."""
        held = _attribute(node) if node.op == "get_attr" else self._constants.get(node.name)
        tensor = node.meta.get("val", held)
        if not isinstance(tensor, torch.Tensor):
            return
        kind = ValueKind.WEIGHT if node.op == "get_attr" else ValueKind(self._kinds.get(node.name, ValueKind.INPUT))
        name = region + self._aliases.get(node.name, node.name)
        names[node] = self.builder.add_value(name, shape_of(tensor), dtype_of(tensor.dtype), kind, _elements(held))
        if kind is ValueKind.INPUT:
            self.inputs.append(name)

    def _read_call(self, node: fx.Node, names: dict[fx.Node, Names], mutations: Mutations, region: str) -> None:
        if node.target is operator.getitem:
            self._read_getitem(node, names, mutations)
        elif isinstance(node.target, torch._ops.HigherOrderOperator):
            self._read_region(node, names, region)
        elif isinstance(node.target, torch._ops.OpOverload):
            if _makes_tensors(node):
                call = Call(node, self.builder, names, region)
                names[node] = aten.lower(call)
                mutations.record(call)
        elif _makes_tensors(node):
            raise UsageError(
                f"fx node {node.name!r} calls {node.target!r}, which is no ATen operator. "
                "Pass the GraphModule and example inputs to from_torch instead."
            )

    def _read_getitem(self, node: fx.Node, names: dict[fx.Node, Names], mutations: Mutations) -> None:
        source, index = cast("tuple[fx.Node, int]", node.args)
        if source in names and not isinstance(names[source], str):
            names[node] = names[source][index]
            mutations.record_item(node, source)

    def _read_region(self, node: fx.Node, names: dict[fx.Node, Names], region: str) -> None:
        """A body that runs in another grad or autocast mode, or is checkpointed: inlined, as that changes no shape."""
        if str(node.target) not in _TRANSPARENT:
            raise UnsupportedModelError(
                f"fx node {node.name!r} calls {node.target}, whose operations may depend on the data, so the network "
                "has no fixed graph. Expected a network that runs the same operations for every input; export the "
                "branch that matters as a module of its own."
            )
        place = next(index for index, item in enumerate(node.args) if _is_body(item))
        body = cast("fx.GraphModule", _attribute(cast("fx.Node", node.args[place])))
        arguments = {
            placeholder.name: names[operand]
            for placeholder, operand in zip(
                body.graph.find_nodes(op="placeholder"), node.args[place + 1 :], strict=True
            )
            if isinstance(operand, fx.Node) and operand in names
        }
        returned = self.read(body.graph, arguments, f"{region}{node.name}/")
        names[node] = tuple(value for _, value in returned)


_TRANSPARENT = frozenset(
    {
        "wrap_with_set_grad_enabled",
        "wrap_with_autocast",
        "tag_activation_checkpoint",
        "wrap_activation_checkpoint",
        "wrap",
    }
)


def _listed(names: Names) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(name for name in names if name)


def _makes_tensors(node: fx.Node) -> bool:
    """Whether the node returns tensors; assertions and arithmetic on sizes do not."""
    if "val" not in node.meta and node.users:
        raise UsageError(
            f"fx node {node.name!r} has no meta['val'], so its shape is unknown. "
            "Pass the GraphModule and example inputs to from_torch, or run FakeTensorProp over it first."
        )
    return any(isinstance(item, torch.Tensor) for item in pytree.tree_leaves(node.meta.get("val")))


def _attribute(node: fx.Node) -> object:
    """What a ``get_attr`` node stands for."""
    value: object = node.graph.owning_module
    for part in str(node.target).split("."):
        value = getattr(value, part)
    return value


def _is_body(argument: object) -> bool:
    return (
        isinstance(argument, fx.Node) and argument.op == "get_attr" and isinstance(_attribute(argument), fx.GraphModule)
    )


def _elements(tensor: object) -> NDArray[np.generic] | None:
    """Elements of a small real tensor, ``None`` where they are unknown or too many."""
    if not isinstance(tensor, torch.Tensor) or isinstance(tensor, FakeTensor) or tensor.device.type != "cpu":
        return None
    if tensor.numel() > MAX_KEPT_ELEMENTS or tensor.layout is not torch.strided:
        return None
    if tensor.is_floating_point() and tensor.dtype not in _NUMPY_FLOATS:
        tensor = tensor.float()
    return cast("NDArray[np.generic]", tensor.detach().numpy())


_NUMPY_FLOATS = (torch.float16, torch.float32, torch.float64)
