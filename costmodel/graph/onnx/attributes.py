"""Node attributes as plain Python values."""

from __future__ import annotations

from collections.abc import Callable

import onnx

from costmodel.graph.op_graph import AttributeValue

__all__ = ["graph_attribute", "plain_attributes"]

_Kind = onnx.AttributeProto

# onnx.helper.get_attribute_value is three times slower, which shows on networks of thousands of nodes.
_READERS: dict[int, Callable[[onnx.AttributeProto], AttributeValue]] = {
    _Kind.FLOAT: lambda attribute: attribute.f,
    _Kind.INT: lambda attribute: attribute.i,
    _Kind.STRING: lambda attribute: _text(attribute.s),
    _Kind.FLOATS: lambda attribute: tuple(attribute.floats),
    _Kind.INTS: lambda attribute: tuple(attribute.ints),
    _Kind.STRINGS: lambda attribute: tuple(_text(item) for item in attribute.strings),
}


def plain_attributes(node: onnx.NodeProto) -> dict[str, AttributeValue]:
    """The attributes of ``node`` that are numbers, strings or lists of them; tensors and graphs are left out."""
    return {
        attribute.name: _READERS[attribute.type](attribute)
        for attribute in node.attribute
        if attribute.type in _READERS
    }


def graph_attribute(node: onnx.NodeProto, name: str) -> onnx.GraphProto:
    """The subgraph ``name`` of ``node``; an empty graph when there is none."""
    for attribute in node.attribute:
        if attribute.name == name:
            graph: onnx.GraphProto = attribute.g
            return graph
    return onnx.GraphProto()


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", errors="replace")
