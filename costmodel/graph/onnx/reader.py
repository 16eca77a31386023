"""ONNX model → :class:`~costmodel.graph.op_graph.OpGraph`.

The nodes are read straight off the protobuf messages.  onnx-ir would give a friendlier view of them, but building
it takes 70 ms for ResNet-50 and its import a second, where everything here takes a few milliseconds.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import onnx

from costmodel.graph.onnx.attributes import plain_attributes
from costmodel.graph.onnx.batch import rewrite_batch
from costmodel.graph.onnx.bind import bind_inputs
from costmodel.graph.onnx.infer import InferredGraph, infer
from costmodel.graph.onnx.normalize import normalize
from costmodel.graph.onnx.scopes import scope_of
from costmodel.graph.onnx.skim import skim
from costmodel.graph.onnx.tensors import dtype_of
from costmodel.graph.op_graph import Op, OpGraph, Value, ValueKind

__all__ = ["from_onnx"]


def from_onnx(
    model: str | os.PathLike[str] | bytes | onnx.ModelProto,
    *,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    batch: int | None = None,
) -> OpGraph:
    """Read a network, every node as it stands.

    Weights are never read, be they in the file or outside it.  Local functions and control flow are unfolded,
    ``Constant`` nodes become weights; :func:`costmodel.graph.passes.simplify` does the rest.

    Args:
        model: Path or content of an ONNX file, or a model, which is left as it is.
        shapes: Sizes of inputs that the file leaves open, by the name of the input.
        batch: Size of the leading dim of the inputs.  Where the file fixes another one, it is rewritten.

    Raises:
        ModelFileError: The file cannot be read, is cut short or is not an ONNX model.
        UsageError: ``shapes`` or ``batch`` contradict the file, or an open size is not given.
        UnsupportedModelError: Control flow that depends on what the network is fed, a batch that cannot be
            rewritten, an operator set older than 7.
        GraphError: The nodes form a cycle, or read what nothing makes.
    """
    proto = normalize(skim(model))
    new_batch = bind_inputs(proto.graph, shapes or {}, batch)
    inferred = infer(proto)
    if new_batch is not None:
        inferred = rewrite_batch(proto.graph, inferred, new_batch)
    ops, inputs, outputs = list(_ops(inferred)), _names(proto.graph.input), _names(proto.graph.output)
    return OpGraph(ops, _values(ops, inputs, outputs, inferred), inputs, outputs, _name(model, proto))


def _ops(inferred: InferredGraph) -> Iterator[Op]:
    counts = Counter(node.name for node in inferred.nodes)
    taken = set(counts)
    for index, node in enumerate(inferred.nodes):
        name = node.name
        if not name or counts[name] > 1:
            name = _unused(f"{node.op_type}_{index}", taken)
        yield Op(
            name=name,
            op_type=node.op_type,
            inputs=tuple(node.input),
            outputs=tuple(node.output),
            attributes=plain_attributes(node),
            domain=node.domain,
            sources=(node.name,) if node.name else (),
            scope=scope_of(node),
        )


def _unused(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _values(
    ops: Sequence[Op], inputs: Sequence[str], outputs: Sequence[str], inferred: InferredGraph
) -> Iterator[Value]:
    """The graph's inputs and outputs, and every tensor that an operation reads or makes."""
    kinds = dict.fromkeys((name for op in ops for name in op.outputs), ValueKind.ACTIVATION)
    kinds |= dict.fromkeys(inferred.weights, ValueKind.WEIGHT)
    kinds |= dict.fromkeys(inputs, ValueKind.INPUT)
    mentioned = dict.fromkeys([*inputs, *outputs])
    for op in ops:
        mentioned.update(dict.fromkeys(op.inputs))
        mentioned.update(dict.fromkeys(op.outputs))
    facts = inferred.facts
    for name in mentioned:
        if name in kinds and name:
            data = facts.data.get(name) if kinds[name] is ValueKind.WEIGHT else None
            yield Value(name, dtype_of(facts.elem_type(name)), facts.shape(name), kinds[name], data)


def _names(values: Iterable[onnx.ValueInfoProto]) -> list[str]:
    return [value.name for value in values]


def _name(model: object, proto: onnx.ModelProto) -> str:
    return Path(model).stem if isinstance(model, str | os.PathLike) else proto.graph.name
