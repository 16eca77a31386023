"""ONNX graphs without their weights: small enough to keep by the hundred, still enough to predict from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256
from math import prod
from typing import TYPE_CHECKING

from costmodel.errors import ModelFileError

if TYPE_CHECKING:
    from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto

__all__ = ["graph_hash", "is_external", "iter_tensors", "strip_weights"]

_MAX_LITERAL_ELEMENTS = 1024
"""Above this many elements a tensor is a weight, whatever its type."""

_STRIPPED_LOCATION = "stripped"
"""File name that stripped tensors point to; no such file is ever written."""

_FLOAT_LITERAL_READERS = frozenset({"Resize", "Upsample", "Range"})
"""Operators that read output sizes from a float tensor."""

_INTEGER_WEIGHT_READERS = frozenset(
    {"DequantizeLinear", "QLinearConv", "ConvInteger", "QLinearMatMul", "MatMulInteger"}
)
"""Operators whose integer tensors are quantised weights."""


def strip_weights(model: ModelProto) -> ModelProto:
    """A copy of ``model`` whose weights have a type and a shape but no elements.

    A weight becomes an external-data entry whose file does not exist.  What decides shapes keeps its elements:
    integers and booleans up to 1,024 elements, scalars, and float scales of ``Resize`` and the like.
    Subgraphs and ``Constant`` nodes are treated alike.  The payload of ``model`` is never copied.
    """
    from onnx import ModelProto

    stripped = ModelProto()
    for descriptor, value in model.ListFields():
        if descriptor.name == "graph":
            _copy_graph(model.graph, stripped.graph)
        elif _is_repeated(value):
            getattr(stripped, descriptor.name).extend(value)
        else:
            setattr(stripped, descriptor.name, value)
    return stripped


def graph_hash(model: ModelProto) -> str:
    """SHA-256, in hexadecimal, of what ``model`` computes but for the values of its weights.

    The same for a model with its weights, with other weights and without any; different as soon as an operator, an
    attribute, a shape, a type or a literal that decides shapes differs.  Names of nodes, comments and the
    producer do not count, names of tensors do.

    Raises:
        ModelFileError: A literal has more or fewer elements than its shape says.
    """
    canonical = strip_weights(model)
    for field in ("producer_name", "producer_version", "domain", "model_version", "doc_string", "metadata_props"):
        canonical.ClearField(field)
    for graph in _iter_graphs(canonical.graph):
        for field in ("name", "doc_string", "value_info", "metadata_props", "quantization_annotation"):
            graph.ClearField(field)
        for node in graph.node:
            for field in ("name", "doc_string", "metadata_props"):
                node.ClearField(field)
        initializers = sorted(graph.initializer, key=lambda tensor: tensor.name)
        graph.ClearField("initializer")
        graph.initializer.extend(initializers)
    for tensor in iter_tensors(canonical):
        _canonicalise(tensor)
    return sha256(canonical.SerializeToString(deterministic=True)).hexdigest()


def is_external(tensor: TensorProto) -> bool:
    """Whether the elements of ``tensor`` are in another file (or, once stripped, nowhere)."""
    return bool(tensor.data_location == tensor.EXTERNAL)


def iter_tensors(model: ModelProto) -> Iterator[TensorProto]:
    """Every initialiser and every tensor attribute of ``model``, subgraphs included."""
    for graph in _iter_graphs(model.graph):
        yield from graph.initializer
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    yield attribute.t


def _iter_graphs(graph: GraphProto) -> Iterator[GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for subgraph in _subgraphs(attribute):
                yield from _iter_graphs(subgraph)


def _subgraphs(attribute: AttributeProto) -> list[GraphProto]:
    return [attribute.g, *attribute.graphs] if attribute.HasField("g") else list(attribute.graphs)


def _copy_graph(source: GraphProto, target: GraphProto) -> None:
    readers = _readers(source.node)
    for descriptor, value in source.ListFields():
        if descriptor.name == "initializer":
            for tensor in value:
                _copy_tensor(tensor, target.initializer.add(), readers.get(tensor.name, set()))
        elif descriptor.name == "node":
            for node in value:
                _copy_node(node, target.node.add(), readers)
        elif _is_repeated(value):
            getattr(target, descriptor.name).extend(value)
        else:
            setattr(target, descriptor.name, value)


def _copy_node(source: NodeProto, target: NodeProto, readers: dict[str, set[str]]) -> None:
    if not any(attribute.HasField("t") or _subgraphs(attribute) for attribute in source.attribute):
        target.CopyFrom(source)
        return
    for descriptor, value in source.ListFields():
        if descriptor.name == "attribute":
            for attribute in value:
                output_readers = set().union(*(readers.get(name, set()) for name in source.output))
                _copy_attribute(attribute, target.attribute.add(), output_readers)
        elif _is_repeated(value):
            getattr(target, descriptor.name).extend(value)
        else:
            setattr(target, descriptor.name, value)


def _copy_attribute(source: AttributeProto, target: AttributeProto, readers: set[str]) -> None:
    if not source.HasField("t") and not _subgraphs(source):
        target.CopyFrom(source)
        return
    target.name = source.name
    target.type = source.type
    if source.HasField("t"):
        _copy_tensor(source.t, target.t, readers)
    if source.HasField("g"):
        _copy_graph(source.g, target.g)
    for graph in source.graphs:
        _copy_graph(graph, target.graphs.add())


def _copy_tensor(source: TensorProto, target: TensorProto, readers: set[str]) -> None:
    if not is_external(source) and _is_literal(source, readers):
        target.CopyFrom(source)
        return
    target.name = source.name
    target.data_type = source.data_type
    target.dims.extend(source.dims)
    target.data_location = target.EXTERNAL
    entry = target.external_data.add()
    entry.key, entry.value = "location", _STRIPPED_LOCATION


def _is_literal(tensor: TensorProto, readers: set[str]) -> bool:
    """Whether the elements say what is computed, rather than being learned."""
    if prod(tensor.dims) > _MAX_LITERAL_ELEMENTS or readers & _INTEGER_WEIGHT_READERS:
        return False
    if tensor.data_type in (tensor.INT64, tensor.INT32, tensor.BOOL):
        return True
    return not tensor.dims or bool(readers & _FLOAT_LITERAL_READERS)


def _readers(nodes: Iterable[NodeProto]) -> dict[str, set[str]]:
    """Operator types that read each tensor."""
    readers: dict[str, set[str]] = {}
    for node in nodes:
        for name in node.input:
            readers.setdefault(name, set()).add(node.op_type)
    return readers


def _canonicalise(tensor: TensorProto) -> None:
    """Bring the elements into ``raw_data``, whichever field they were in; forget where external ones were."""
    from onnx import numpy_helper

    tensor.ClearField("doc_string")
    tensor.ClearField("metadata_props")
    if is_external(tensor):
        tensor.ClearField("external_data")
        return
    try:
        array = numpy_helper.to_array(tensor)
    except (TypeError, ValueError) as error:
        raise ModelFileError(
            f"the tensor {tensor.name!r} of shape {list(tensor.dims)} has elements that do not fit it: {error}. "
            "Export the model again."
        ) from error
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


def _is_repeated(value: object) -> bool:
    return hasattr(value, "extend")
