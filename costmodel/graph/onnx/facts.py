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

    Attributes:
        opsets: Version of each operator domain in use.
        types: Type of each tensor; dims may be open, tensors nothing is known of are absent.  Read only: new
            types come in through :meth:`set_type`.
        data: Elements of small tensors that do not depend on what the network is fed.
    """

    opsets: Mapping[str, int]
    types: dict[str, onnx.TypeProto] = field(default_factory=dict)
    data: dict[str, NDArray[np.generic]] = field(default_factory=dict)
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

    def set_type(self, name: str, type_: onnx.TypeProto) -> None:
        """Record the type of a tensor, in place of what was known before."""
        self.types[name] = type_
        self._shapes[name] = concrete_shape(type_)

    def add_weight(self, tensor: onnx.TensorProto) -> None:
        """Record a tensor that the model holds."""
        self.set_type(tensor.name, tensor_type(tensor.data_type, tensor.dims))
        elements = kept_elements(tensor)
        if elements is not None:
            self.data[tensor.name] = elements

    def shape(self, name: str) -> tuple[int, ...] | None:
        """Sizes of the tensor ``name``; ``None`` when any is unknown."""
        return self._shapes.get(name)

    def elem_type(self, name: str) -> int:
        """ONNX's number for the element type of the tensor ``name``; 0 when unknown."""
        known = self.types.get(name)
        return known.tensor_type.elem_type if known is not None and known.HasField("tensor_type") else 0
