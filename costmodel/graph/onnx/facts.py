"""What is known of the tensors of a graph before it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx
from numpy.typing import NDArray

from costmodel.graph.onnx.tensors import concrete_shape, kept_elements, tensor_type

__all__ = ["Facts"]


@dataclass(slots=True)
class Facts:
    """The types and, where small and known, the elements of every tensor by name.

    A weight is known by its element type and shape alone: most networks have two for every node, and hardly ever
    is the message asked for that says the same.

    Attributes:
        opsets: Version of each operator domain in use.
        data: Elements of small tensors that do not depend on what the network is fed.
    """

    opsets: Mapping[str, int]
    data: dict[str, NDArray[np.generic]] = field(default_factory=dict)
    _types: dict[str, onnx.TypeProto] = field(default_factory=dict)
    _elem_types: dict[str, int] = field(default_factory=dict)
    _shapes: dict[str, tuple[int, ...] | None] = field(default_factory=dict)

    @classmethod
    def of_model(cls, model: onnx.ModelProto) -> Facts:
        """What the inputs and initialisers of ``model`` say."""
        facts = cls({opset.domain: opset.version for opset in model.opset_import})
        for value in model.graph.input:
            facts.set_type(value.name, value.type)
        for tensor in model.graph.initializer:
            facts.add_weight(tensor)
        for sparse in model.graph.sparse_initializer:
            facts.set_type(sparse.values.name, tensor_type(sparse.values.data_type, sparse.dims))
        return facts

    def __contains__(self, name: str) -> bool:
        return name in self._elem_types

    def set_type(self, name: str, type_: onnx.TypeProto) -> None:
        """Record the type of a tensor, in place of what was known before."""
        self._types[name] = type_
        self._elem_types[name] = type_.tensor_type.elem_type if type_.HasField("tensor_type") else 0
        self._shapes[name] = concrete_shape(type_)

    def add_weight(self, tensor: onnx.TensorProto) -> None:
        """Record a tensor that the model holds, in place of what was known of its name before."""
        dims = tuple(tensor.dims)
        self._types.pop(tensor.name, None)
        self._elem_types[tensor.name] = tensor.data_type
        self._shapes[tensor.name] = dims if min(dims, default=0) >= 0 else None
        elements = kept_elements(tensor)
        if elements is not None:
            self.data[tensor.name] = elements

    def type_of(self, name: str) -> onnx.TypeProto:
        """Type of the tensor ``name``, not to be written to; empty when nothing is known of it."""
        if name in self._types or name not in self:
            return self._types.get(name, onnx.TypeProto())
        return tensor_type(self._elem_types[name], self._shapes[name])

    def shape(self, name: str) -> tuple[int, ...] | None:
        """Sizes of the tensor ``name``; ``None`` when any is unknown."""
        return self._shapes.get(name)

    def elem_type(self, name: str) -> int:
        """ONNX's number for the element type of the tensor ``name``; 0 when unknown."""
        return self._elem_types.get(name, 0)
