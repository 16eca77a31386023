"""Unfolds ``If``, ``Loop`` and ``Scan`` into the nodes they run, where that is settled before the run.

* ``If`` becomes the branch that is taken, when its condition is known.
* ``Loop`` becomes its body once for every trip, when the number of trips is known and small and the
  condition never ends it early.
* ``Scan`` becomes its body once for every slice, when there are few.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import onnx
from onnx import helper, numpy_helper

from costmodel.errors import UnsupportedModelError
from costmodel.graph.onnx.attributes import graph_attribute, plain_attributes
from costmodel.graph.onnx.facts import Facts
from costmodel.graph.onnx.normalize import MAX_INLINED_NODES, constant_tensor
from costmodel.graph.onnx.tensors import kept_elements

__all__ = ["MAX_TRIPS", "Unfolded", "is_control_flow", "unfold"]

MAX_TRIPS = 256
"""Loops of up to this many trips are unfolded."""

_AXES_ARE_AN_INPUT_SINCE = 13  # of Unsqueeze
_SCAN_HAS_NO_BATCH_SINCE = 9


@dataclass(slots=True)
class Unfolded:
    """What takes the place of one control-flow node: ``nodes``, and the ``weights`` they read."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)

    def add_copy(self, body: onnx.GraphProto, bound: Mapping[str, str], prefix: str) -> list[str]:
        """Add the nodes of ``body``, everything they name behind ``prefix``, and return its outputs' new names.

        Args:
            body: A subgraph.
            bound: What the inputs of ``body`` are called outside.
            prefix: Put before the names made in ``body``; names from outside stay as they are.
        """
        made = [name for node in body.node for name in node.output if name]
        made += [tensor.name for tensor in body.initializer]
        names = {**{name: prefix + name for name in made}, **bound}
        for tensor in body.initializer:
            copied = onnx.TensorProto()
            copied.CopyFrom(tensor)
            copied.name = names[tensor.name]
            self.weights.append(copied)
        for node in body.node:
            renamed = _renamed(node, names)
            renamed.name = prefix + node.name if node.name else ""
            self.nodes.append(renamed)
        return [names.get(value.name, value.name) for value in body.output]

    def add_constant(self, name: str, elements: Sequence[int] | int | bool) -> str:
        """Add a weight of 64-bit integers, or a truth value, and return its name."""
        dtype = np.bool_ if isinstance(elements, bool) else np.int64
        self.weights.append(numpy_helper.from_array(np.array(elements, dtype=dtype), name))
        return name

    def add_node(self, op_type: str, inputs: Sequence[str], output: str, **attributes: int | Sequence[int]) -> str:
        """Add one node and return the name of its output."""
        node = onnx.NodeProto(op_type=op_type, input=inputs, output=[output])
        node.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
        self.nodes.append(node)
        return output

    def add_stack(self, slices: Sequence[str], output: str, axis: int, opset: int) -> None:
        """Add the nodes that join ``slices`` along a new ``axis`` into ``output``."""
        rows = []
        for index, name in enumerate(slices):
            row = f"{output}/{index}"
            if opset < _AXES_ARE_AN_INPUT_SINCE:
                rows.append(self.add_node("Unsqueeze", [name], row, axes=[axis]))
            else:
                rows.append(self.add_node("Unsqueeze", [name, self.add_constant(f"{row}/axes", [axis])], row))
        self.add_node("Concat", rows, output, axis=axis)


def is_control_flow(node: onnx.NodeProto) -> bool:
    """Whether ``node`` runs a subgraph that :func:`unfold` can take the place of."""
    return not node.domain and node.op_type in _UNFOLDERS


def unfold(node: onnx.NodeProto, facts: Facts) -> Unfolded:
    """The nodes that an ``If``, ``Loop`` or ``Scan`` runs.

    Raises:
        UnsupportedModelError: What it runs depends on what the network is fed, or is too much.
    """
    try:
        return _UNFOLDERS[node.op_type](node, facts)
    except (IndexError, KeyError, StopIteration, TypeError, ValueError) as error:
        raise _unsupported(node, "its inputs, outputs and subgraph do not fit together") from error


def _unfold_if(node: onnx.NodeProto, facts: Facts) -> Unfolded:
    condition = facts.data.get(node.input[0])
    if condition is None or condition.size != 1:
        raise _unsupported(node, f"its condition {node.input[0]!r} depends on what the network is fed")
    branch = graph_attribute(node, "then_branch" if condition.item() else "else_branch")
    unfolded = Unfolded()
    results = unfolded.add_copy(branch, {}, _prefix(node))
    _hand_on(unfolded, results, node.output)
    return unfolded


def _unfold_loop(node: onnx.NodeProto, facts: Facts) -> Unfolded:
    body = graph_attribute(node, "body")
    unfolded = Unfolded()
    condition = node.input[1] or unfolded.add_constant(f"{_prefix(node)}condition", True)

    def arguments(trip: int, carried: list[str]) -> list[str]:
        counter = unfolded.add_constant(f"{_prefix(node)}{trip}/trip", trip)
        return [counter, condition, *carried]

    loop = _Unrolling(node, body, carried=list(node.input[2:]), leading_results=1)
    stacks = loop.run(unfolded, _trip_count(node, body, facts), arguments)
    for slices, output in zip(stacks, node.output[loop.states :], strict=False):
        if output:
            unfolded.add_stack(slices, output, 0, facts.opsets[""])
    return unfolded


def _unfold_scan(node: onnx.NodeProto, facts: Facts) -> Unfolded:
    opset = facts.opsets[""]
    if opset < _SCAN_HAS_NO_BATCH_SINCE:
        raise _unsupported(node, f"operator set {opset} gives Scan a batch axis, which is not supported")
    attributes = _ScanAttributes.of(node)
    scanned = node.input[len(node.input) - attributes.scanned :]
    trips = _slice_count(node, scanned[0], attributes.input_axes[0], facts)
    unfolded = Unfolded()

    def arguments(trip: int, carried: list[str]) -> list[str]:
        slices: list[str] = []
        for name, axis, backwards in zip(scanned, attributes.input_axes, attributes.input_backwards, strict=True):
            row = f"{_prefix(node)}{trip}/slice{len(slices)}"
            index = unfolded.add_constant(f"{row}/index", trips - 1 - trip if backwards else trip)
            slices.append(unfolded.add_node("Gather", [name, index], row, axis=axis))
        return [*carried, *slices]

    carried = list(node.input[: len(node.input) - attributes.scanned])
    scan = _Unrolling(node, graph_attribute(node, "body"), carried, leading_results=0)
    stacks = scan.run(unfolded, trips, arguments)
    outputs = zip(stacks, node.output[scan.states :], attributes.output_axes, attributes.output_backwards, strict=False)
    for slices, output, axis, backwards in outputs:
        if output:
            unfolded.add_stack(slices[::-1] if backwards else slices, output, axis, opset)
    return unfolded


@dataclass(slots=True)
class _Unrolling:
    """A body run several times: some results go into the next trip, the others are collected.

    Attributes:
        node: The ``Loop`` or ``Scan``.
        body: Its subgraph.
        carried: Names of the tensors that enter the first trip.
        leading_results: How many results of the body stand before the carried ones.
    """

    node: onnx.NodeProto
    body: onnx.GraphProto
    carried: list[str]
    leading_results: int

    @property
    def states(self) -> int:
        """How many tensors go from one trip into the next."""
        return len(self.carried)

    def run(self, unfolded: Unfolded, trips: int, arguments: Callable[[int, list[str]], list[str]]) -> list[list[str]]:
        """Add every trip, and nodes that hand the last one's state on; return what each trip adds to each stack."""
        states = self.states
        stacks: list[list[str]] = [[] for _ in self.body.output[self.leading_results + states :]]
        if not trips and any(self.node.output[states:]):
            raise _unsupported(self.node, "it makes no trip, which leaves its stacked outputs without a shape")
        state = self.carried
        for trip in range(trips):
            formal = [value.name for value in self.body.input]
            bound = dict(zip(formal, arguments(trip, state), strict=True))
            results = unfolded.add_copy(self.body, bound, f"{_prefix(self.node)}{trip}/")[self.leading_results :]
            state = results[:states]
            for stack, name in zip(stacks, results[states:], strict=True):
                stack.append(name)
            if len(unfolded.nodes) > MAX_INLINED_NODES:
                raise _unsupported(self.node, f"it unfolds to more than {MAX_INLINED_NODES:,} nodes")
        _hand_on(unfolded, state, self.node.output)
        return stacks


def _trip_count(node: onnx.NodeProto, body: onnx.GraphProto, facts: Facts) -> int:
    limit_name, condition_name = node.input[0], node.input[1]
    condition = facts.data.get(condition_name)
    if condition_name and condition is None:
        raise _unsupported(node, f"its condition {condition_name!r} depends on what the network is fed")
    if condition is not None and not condition.item():
        return 0
    if not _stays_true(body, facts):
        raise _unsupported(node, "its condition may end it early, depending on what the network is fed")
    limit = facts.data.get(limit_name)
    if limit is None:
        raise _unsupported(node, f"its trip count {limit_name!r} is not known before the run")
    return _checked_trips(node, int(limit.item()))


def _slice_count(node: onnx.NodeProto, scanned: str, axis: int, facts: Facts) -> int:
    shape = facts.shape(scanned)
    if shape is None:
        raise _unsupported(node, f"the shape of {scanned!r}, which it scans, is not known")
    return _checked_trips(node, shape[axis])


def _checked_trips(node: onnx.NodeProto, trips: int) -> int:
    if trips > MAX_TRIPS:
        raise _unsupported(node, f"it makes {trips:,} trips; at most {MAX_TRIPS} are unfolded")
    return max(trips, 0)


def _stays_true(body: onnx.GraphProto, facts: Facts) -> bool:
    """Whether the condition that the body hands on is the one it was given, or a true constant."""
    producers = {name: producer for producer in body.node for name in producer.output}
    constants = {tensor.name: kept_elements(tensor) for tensor in body.initializer}
    name = body.output[0].name
    for _ in body.node:  # a chain of casts is no longer than the body
        if name not in producers or producers[name].op_type not in ("Identity", "Cast"):
            break
        name = producers[name].input[0]
    if name == body.input[1].name:
        return True
    if name in producers:
        tensor = constant_tensor(producers[name])
        elements = kept_elements(tensor) if tensor is not None else None
    else:
        elements = constants.get(name, facts.data.get(name))
    return elements is not None and bool(elements.item())


class _ScanAttributes(NamedTuple):
    """The attributes of a ``Scan``, one entry for each tensor it slices or stacks."""

    scanned: int
    input_axes: tuple[int, ...]
    input_backwards: tuple[int, ...]
    output_axes: tuple[int, ...]
    output_backwards: tuple[int, ...]

    @classmethod
    def of(cls, node: onnx.NodeProto) -> _ScanAttributes:
        attributes = plain_attributes(node)
        scanned = attributes["num_scan_inputs"]
        if not isinstance(scanned, int) or not 0 < scanned <= len(node.input):
            raise ValueError(scanned)
        stacked = len(node.output)

        def each(name: str, count: int) -> tuple[int, ...]:
            given = attributes.get(name)
            return tuple(int(item) for item in given) if isinstance(given, tuple) else (0,) * count

        return cls(
            scanned,
            each("scan_input_axes", scanned),
            each("scan_input_directions", scanned),
            each("scan_output_axes", stacked),
            each("scan_output_directions", stacked),
        )


_UNFOLDERS: dict[str, Callable[[onnx.NodeProto, Facts], Unfolded]] = {
    "If": _unfold_if,
    "Loop": _unfold_loop,
    "Scan": _unfold_scan,
}


def _hand_on(unfolded: Unfolded, results: Iterable[str], outputs: Iterable[str]) -> None:
    for result, output in zip(results, outputs, strict=False):
        if output:
            unfolded.add_node("Identity", [result], output)


def _renamed(node: onnx.NodeProto, names: Mapping[str, str]) -> onnx.NodeProto:
    """A copy of ``node`` with the tensors in ``names`` renamed, those its own subgraphs read included."""
    copied = onnx.NodeProto()
    copied.CopyFrom(node)
    _rename(copied, names)
    return copied


def _rename(node: onnx.NodeProto, names: Mapping[str, str]) -> None:
    node.input[:] = [names.get(name, name) for name in node.input]
    node.output[:] = [names.get(name, name) for name in node.output]
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            for inner in attribute.g.node:
                _rename(inner, names)
            for result in attribute.g.output:
                result.name = names.get(result.name, result.name)


def _prefix(node: onnx.NodeProto) -> str:
    # Tensor names are unique in a model, node names need not be.
    return f"{next(name for name in node.output if name)}/"


def _unsupported(node: onnx.NodeProto, reason: str) -> UnsupportedModelError:
    name = node.name or ", ".join(node.output)
    return UnsupportedModelError(
        f"the {node.op_type} node {name!r} cannot be unfolded: {reason}. "
        "Fix the shapes it depends on (--shape name:1x3x224x224), or export the model without control flow."
    )
