"""Brings the many ways to write an ONNX model down to one, before anything is inferred."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache

import onnx
from onnx import defs, helper, inliner

from costmodel.errors import ModelFileError, UnsupportedModelError

__all__ = ["MAX_INLINED_NODES", "constant_tensor", "normalize"]

MAX_INLINED_NODES = 30_000
"""Functions, branches and loops may grow a network up to this many nodes."""

_OLDEST_OPSET = 7


def normalize(model: onnx.ModelProto) -> onnx.ModelProto:
    """``model`` without local functions, without ``Constant`` nodes and with weights told from inputs.

    * Calls of functions that the model itself defines are replaced by their bodies.
    * Initialisers that are listed among the inputs too (a default that a caller may override; required
      before IR version 4) are weights, not inputs.
    * ``Constant`` nodes become initialisers.
    * Every domain in use is imported and the domain ``ai.onnx`` is written ``""``.

    The model given may be changed; use what is returned.

    Raises:
        ModelFileError: A name is not text, the model imports no operator set, or a function calls itself.
        UnsupportedModelError: The operator set is older than 7, or functions grow the model beyond
            :data:`MAX_INLINED_NODES` nodes.
    """
    _check_opset(model)
    if model.functions:
        model = _without_functions(model)
    _check_names(model)
    _constants_to_initializers(model.graph)
    _drop_inputs_with_a_default(model.graph)
    _import_every_domain(model)
    # From version 4 on, initialisers need not be inputs; nothing else here depends on the version.
    model.ir_version = max(model.ir_version, onnx.IR_VERSION)
    return model


def constant_tensor(node: onnx.NodeProto) -> onnx.TensorProto | None:
    """The tensor a ``Constant`` node makes, named as its output; ``None`` when the node holds none."""
    tensor = _held_tensor(node)
    if tensor is not None and node.output:
        tensor.name = node.output[0]
        return tensor
    return None


def _held_tensor(node: onnx.NodeProto) -> onnx.TensorProto | None:
    for attribute in node.attribute:
        match attribute.name:
            case "value":
                copied = onnx.TensorProto()
                copied.CopyFrom(attribute.t)
                return copied
            case "sparse_value":
                sparse = attribute.sparse_tensor
                return onnx.TensorProto(dims=sparse.dims, data_type=sparse.values.data_type)
            case "value_int":
                return helper.make_tensor("", onnx.TensorProto.INT64, [], [attribute.i])
            case "value_ints":
                return helper.make_tensor("", onnx.TensorProto.INT64, [len(attribute.ints)], attribute.ints)
            case "value_float":
                return helper.make_tensor("", onnx.TensorProto.FLOAT, [], [attribute.f])
            case "value_floats":
                return helper.make_tensor("", onnx.TensorProto.FLOAT, [len(attribute.floats)], attribute.floats)
            case "value_string":
                return onnx.TensorProto(data_type=onnx.TensorProto.STRING)
            case "value_strings":
                return onnx.TensorProto(dims=[len(attribute.strings)], data_type=onnx.TensorProto.STRING)
    return None


def _check_names(model: onnx.ModelProto) -> None:
    try:
        "".join(opset.domain for opset in model.opset_import)
        _join_names(model.graph)
    except TypeError as error:  # protobuf hands out bytes where a string is not UTF-8
        raise ModelFileError(
            "a name in the model is not text, so the file is damaged. Export or download it again."
        ) from error


def _join_names(graph: onnx.GraphProto) -> None:
    """Joining them finds one that is not text sooner than asking each."""
    "".join([graph.name])
    "".join(tensor.name for tensor in graph.initializer)
    "".join(sparse.values.name for sparse in graph.sparse_initializer)
    for value in (*graph.input, *graph.output, *graph.value_info):
        "".join([value.name, *(dim.dim_param for dim in value.type.tensor_type.shape.dim)])
    for node in graph.node:
        attributes = node.attribute
        "".join([node.name, node.op_type, node.domain, *node.input, *node.output, *(held.name for held in attributes)])
        for held in attributes:
            if held.type == onnx.AttributeProto.GRAPH:
                _join_names(held.g)


def _check_opset(model: onnx.ModelProto) -> None:
    if not model.opset_import:
        raise ModelFileError(
            "the model imports no operator set, so its operators have no meaning; expected opset_import to be "
            "filled. Export it again, or set it with onnx.helper.make_opsetid."
        )
    for opset in model.opset_import:
        if opset.domain in ("", "ai.onnx") and opset.version < _OLDEST_OPSET:
            raise UnsupportedModelError(
                f"the model uses ONNX operator set {opset.version}; expected {_OLDEST_OPSET} or newer. "
                f"Convert it with onnx.version_converter.convert_version(model, {defs.onnx_opset_version()})."
            )


def _import_every_domain(model: onnx.ModelProto) -> None:
    for named in (*model.opset_import, *model.graph.node):
        if named.domain == "ai.onnx":
            named.domain = ""
    # Whole-graph inference gives up on a model that uses a domain it does not import.
    missing = {node.domain for node in model.graph.node} - {opset.domain for opset in model.opset_import}
    for domain in sorted(missing):
        newest = defs.onnx_opset_version() if domain == "" else 1
        model.opset_import.append(helper.make_opsetid(domain, newest))


def _constants_to_initializers(graph: onnx.GraphProto) -> None:
    constants = [node for node in graph.node if node.op_type == "Constant"]
    if not constants:
        return
    graph.initializer.extend(tensor for node in constants if (tensor := constant_tensor(node)) is not None)
    others = [node for node in graph.node if node.op_type != "Constant"]
    del graph.node[:]
    graph.node.extend(others)


def _drop_inputs_with_a_default(graph: onnx.GraphProto) -> None:
    weights = {tensor.name for tensor in graph.initializer}
    weights.update(sparse.values.name for sparse in graph.sparse_initializer)
    fed = [value for value in graph.input if value.name not in weights]
    if len(fed) < len(graph.input):
        del graph.input[:]
        graph.input.extend(fed)


def _without_functions(model: onnx.ModelProto) -> onnx.ModelProto:
    _check_growth(model)
    try:
        return inliner.inline_local_functions(model)
    except (RuntimeError, ValueError) as error:
        raise ModelFileError(f"the model's local functions cannot be inlined: {error}") from error


def _check_growth(model: onnx.ModelProto) -> None:
    # A few functions that each call the next one twice unfold to billions of nodes.
    bodies = {(function.domain, function.name): function.node for function in model.functions}
    being_counted: set[tuple[str, str]] = set()

    @cache
    def unfolded(domain: str, name: str) -> int:
        if (domain, name) not in bodies:
            return 1
        if (domain, name) in being_counted:
            raise ModelFileError(f"the local function '{domain}::{name}' calls itself, which ONNX does not allow.")
        being_counted.add((domain, name))
        total = sum(unfolded(node.domain, node.op_type) for node in _with_subgraphs(bodies[domain, name]))
        being_counted.discard((domain, name))
        return total

    try:
        total = sum(unfolded(node.domain, node.op_type) for node in _with_subgraphs(model.graph.node))
    except RecursionError as error:
        raise UnsupportedModelError("the model's local functions call each other too deeply to be inlined.") from error
    if total > MAX_INLINED_NODES:
        raise UnsupportedModelError(
            f"the model's local functions unfold to {total:,} nodes; at most {MAX_INLINED_NODES:,} are supported."
        )


def _with_subgraphs(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    for node in nodes:
        yield node
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from _with_subgraphs(attribute.g.node)
