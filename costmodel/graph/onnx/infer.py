"""Finds the shape of every tensor of a normalised model.

ONNX infers a whole graph in one pass of C++, which settles most networks in a millisecond.  What it leaves
open is walked node by node, in an order that has every node behind what it reads: operators of onnxruntime get
their shapes from rules of our own, arithmetic on shapes is computed, control flow is unfolded on the way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # ships no types
from onnx import shape_inference

from costmodel.errors import UnsupportedModelError
from costmodel.graph.onnx import contrib
from costmodel.graph.onnx.control_flow import is_control_flow, unfold
from costmodel.graph.onnx.evaluate import evaluate_node
from costmodel.graph.onnx.facts import Facts
from costmodel.graph.onnx.normalize import MAX_INLINED_NODES, constant_tensor
from costmodel.graph.onnx.standard import infer_standard
from costmodel.graph.onnx.tensors import concrete_shape

__all__ = ["InferredGraph", "infer", "infer_node"]


@dataclass(slots=True)
class InferredGraph:
    """A graph without control flow, and what is known of its tensors.

    Attributes:
        nodes: Its nodes; in topological order unless they form a cycle.
        weights: Names of the tensors that the model holds.
        facts: Types of the tensors, and the elements of small ones.
        unfolded: The control-flow nodes that ``nodes`` took the place of.
    """

    nodes: list[onnx.NodeProto]
    weights: list[str]
    facts: Facts
    unfolded: list[onnx.NodeProto] = field(default_factory=list)


def infer(model: onnx.ModelProto) -> InferredGraph:
    """Nodes and types of ``model``, see :func:`costmodel.graph.onnx.normalize.normalize`.

    What the file itself says of a tensor counts only where nothing else is found: it may be out of date.
    Types that cannot be found stay unknown.  The model's own annotations are removed from it.

    Raises:
        UnsupportedModelError: A control-flow node depends on what the network is fed.
    """
    graph = model.graph
    declared = _take_annotations(graph)
    weights = [tensor.name for tensor in graph.initializer]
    weights += [sparse.values.name for sparse in graph.sparse_initializer]
    inferred = InferredGraph(list(graph.node), weights, Facts.of_model(model))
    for name, type_ in _whole_graph_types(model).items():
        if name not in inferred.facts:
            inferred.facts.set_type(name, type_)
    if not _is_settled(graph, inferred.facts):
        _walk(inferred, declared)
    return inferred


def infer_node(node: onnx.NodeProto, facts: Facts) -> None:
    """Adds what ``node`` tells of its outputs to ``facts``."""
    if any(facts.shape(name) is None for name in node.output if name):
        found = contrib.infer_contrib(node, facts) if node.domain == contrib.DOMAIN else infer_standard(node, facts)
        for name, type_ in found.items():
            if name and (name not in facts or concrete_shape(type_) is not None):
                facts.set_type(name, type_)
    evaluate_node(node, facts)


def _take_annotations(graph: onnx.GraphProto) -> dict[str, onnx.TypeProto]:
    """Types the file gives for tensors that its nodes make, which are removed from it."""
    declared = {value.name: value.type for value in (*graph.value_info, *graph.output)}
    copied = {name: onnx.TypeProto.FromString(type_.SerializeToString()) for name, type_ in declared.items()}
    del graph.value_info[:]
    for value in graph.output:
        value.ClearField("type")
    return copied


def _whole_graph_types(model: onnx.ModelProto) -> dict[str, onnx.TypeProto]:
    try:
        graph = shape_inference.infer_shapes(model, data_prop=True).graph
    except (shape_inference.InferenceError, DecodeError, RuntimeError, ValueError):  # one node in error fails them all
        return {}
    return {value.name: value.type for value in (*graph.value_info, *graph.output)}


def _is_settled(graph: onnx.GraphProto, facts: Facts) -> bool:
    """Whether there is no control flow and every tensor that somebody reads has its shape."""
    read = {name for node in graph.node for name in node.input if name}
    read.update(value.name for value in graph.output)
    return all(facts.shape(name) is not None for name in read) and not any(map(is_control_flow, graph.node))


def _walk(inferred: InferredGraph, declared: Mapping[str, onnx.TypeProto]) -> None:
    facts = inferred.facts
    pending = deque(_in_topological_order(inferred.nodes))
    inferred.nodes = []
    while pending:
        node = pending.popleft()
        if is_control_flow(node):
            instead = unfold(node, facts)
            for tensor in instead.weights:
                _add_weight(inferred, tensor)
            pending.extendleft(reversed(instead.nodes))
            inferred.unfolded.append(node)
            _check_growth(len(pending) + len(inferred.nodes), node)
        elif node.op_type == "Constant" and (held := constant_tensor(node)) is not None:
            _add_weight(inferred, held)
        else:
            infer_node(node, facts)
            for name in node.output:
                if name in declared and facts.shape(name) is None:
                    facts.set_type(name, declared[name])
            inferred.nodes.append(node)


def _add_weight(inferred: InferredGraph, tensor: onnx.TensorProto) -> None:
    inferred.weights.append(tensor.name)
    inferred.facts.add_weight(tensor)


def _check_growth(nodes: int, node: onnx.NodeProto) -> None:
    if nodes > MAX_INLINED_NODES:
        raise UnsupportedModelError(
            f"the network grows beyond {MAX_INLINED_NODES:,} nodes when {node.op_type} {node.name!r} is unfolded."
        )


def _in_topological_order(nodes: Sequence[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """``nodes`` behind what they read; nodes of a cycle come last, as they stand."""
    producer = {name: index for index, node in enumerate(nodes) for name in node.output if name}
    reads = [{producer[name] for name in _names_read(node) if name in producer} for node in nodes]
    if all(source < index for index, sources in enumerate(reads) for source in sources):
        return list(nodes)
    readers: list[list[int]] = [[] for _ in nodes]
    for index, sources in enumerate(reads):
        for source in sources:
            readers[source].append(index)
    waiting = [len(sources) for sources in reads]
    order = [index for index, count in enumerate(waiting) if count == 0]
    for index in order:  # grows while it is read
        for reader in readers[index]:
            waiting[reader] -= 1
            if waiting[reader] == 0:
                order.append(reader)
    order += [index for index, count in enumerate(waiting) if count > 0]
    return [nodes[index] for index in order]


def _names_read(node: onnx.NodeProto) -> set[str]:
    """Names ``node`` reads, those that its subgraphs read from outside included."""
    names = set(node.input)
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            names.update(value.name for value in attribute.g.output)
            for inner in attribute.g.node:
                names |= _names_read(inner)
    return names
