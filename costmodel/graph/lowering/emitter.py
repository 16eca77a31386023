"""Emits the ONNX operations that one call of another framework's operator stands for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from costmodel.graph.dtypes import DType
from costmodel.graph.lowering.builder import GraphBuilder
from costmodel.graph.lowering.element_types import numpy_array, onnx_number
from costmodel.graph.op_graph import AttributeValue, ValueKind

__all__ = ["Emitter", "Names"]

Names = str | tuple[str, ...]
"""What a call stands for: the name of one value, or of several."""


class Emitter(ABC):
    """The half of a call that every framework has in common; a subclass asks its own framework for the arguments.

    Args:
        label: What the result is called; unique.
        builder: Where operations and values go.
        source: What the operations are said to come from.
        scope: Path of the module that they were written in, if there are modules.
    """

    def __init__(self, label: str, builder: GraphBuilder, *, source: str, scope: str = "") -> None:
        self.label = label
        self.builder = builder
        self._source = source
        self._scope = scope
        self._steps = 0

    @property
    @abstractmethod
    def returned(self) -> tuple[Any, ...]:
        """What the call returns, in order, as the framework has it; ``None`` for what is no tensor."""

    @property
    @abstractmethod
    def returns_several(self) -> bool:
        """Whether it returns a tuple, if only of one."""

    @abstractmethod
    def shape_of_result(self, made: Any) -> tuple[int, ...]:
        """Sizes of one of the tensors in :attr:`returned`."""

    @abstractmethod
    def dtype_of_result(self, made: Any) -> DType:
        """Element type of one of the tensors in :attr:`returned`."""

    # ---- shapes and types ----------------------------------------------------------------------------------------

    def shape(self, value: str) -> tuple[int, ...]:
        """Shape of a value."""
        return self.builder.shape(value)

    def dtype(self, value: str) -> DType:
        """Element type of a value."""
        return self.builder.value(value).dtype

    @property
    def result_shape(self) -> tuple[int, ...]:
        """Shape of the first result."""
        return self._shape_of(self.returned[0])

    @property
    def result_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of all results."""
        return tuple(map(self._shape_of, self.returned))

    @property
    def result_dtype(self) -> DType:
        """Element type of the first result."""
        first = self.returned[0]
        return DType.UNKNOWN if first is None else self.dtype_of_result(first)

    # ---- operations and constants --------------------------------------------------------------------------------

    def result(
        self,
        op_type: str,
        inputs: Sequence[str],
        attributes: Mapping[str, AttributeValue] | None = None,
        *,
        domain: str = "",
    ) -> Names:
        """Emit the operation that makes what the call returns; a tuple of names when it returns a tuple."""
        outputs = [""] * len(self.returned)
        for index, made in enumerate(self.returned):
            if made is not None:
                name = f"{self.label}.{index}" if self.returns_several else self.label
                outputs[index] = self._activation(name, self.shape_of_result(made), self.dtype_of_result(made))
        self._append(op_type, inputs, outputs, attributes, domain)
        return tuple(outputs) if self.returns_several else outputs[0]

    def step(
        self,
        op_type: str,
        inputs: Sequence[str],
        shape: Sequence[int],
        attributes: Mapping[str, AttributeValue] | None = None,
        dtype: DType | None = None,
    ) -> str:
        """Emit an operation on the way to the result; its element type is the result's unless ``dtype`` is given."""
        return self.steps(op_type, inputs, [shape], attributes, dtype)[0]

    def steps(
        self,
        op_type: str,
        inputs: Sequence[str],
        shapes: Sequence[Sequence[int]],
        attributes: Mapping[str, AttributeValue] | None = None,
        dtype: DType | None = None,
    ) -> list[str]:
        """As :meth:`step` for an operation with several results, one for each of ``shapes``."""
        dtype = self.result_dtype if dtype is None else dtype
        outputs = [self._activation(self._fresh_name(), shape, dtype) for shape in shapes]
        self._append(op_type, inputs, outputs, attributes, "")
        return outputs

    def constant(self, data: object, dtype: DType = DType.INT64) -> str:
        """A weight whose elements are known, by default the 64-bit integers ONNX wants for shapes and axes."""
        array = numpy_array(data, dtype)
        return self.builder.add_value(self._fresh_name(), array.shape, dtype, ValueKind.WEIGHT, array)

    def literal(self, data: NDArray[np.generic] | None) -> str:
        """The call's own result as a weight; ``data`` may be ``None`` for one whose elements do not matter."""
        dtype = self.result_dtype
        elements = None if data is None else numpy_array(data, dtype)
        return self.builder.add_value(self.label, self.result_shape, dtype, ValueKind.WEIGHT, elements)

    def weight(self, name: str, shape: Sequence[int], dtype: DType) -> str:
        """A weight made by re-packing others; calls that re-pack the same ones under one ``name`` share it."""
        return self.builder.add_value(name, shape, dtype, ValueKind.WEIGHT)

    # ---- small operations that many lowerings need ---------------------------------------------------------------

    def reshape(self, value: str, shape: Sequence[int]) -> str:
        """``value`` in another shape; itself when the shape is the same."""
        if self.shape(value) == tuple(shape):
            return value
        return self.step("Reshape", [value, self.constant(shape)], shape, dtype=self.dtype(value))

    def transpose(self, value: str, perm: Sequence[int]) -> str:
        """``value`` with its dimensions in another order; itself when the order is the same."""
        if tuple(perm) == tuple(range(len(perm))):
            return value
        shape = self.shape(value)
        return self.step(
            "Transpose", [value], [shape[dim] for dim in perm], {"perm": tuple(perm)}, dtype=self.dtype(value)
        )

    def expand(self, value: str, shape: Sequence[int]) -> str:
        """``value`` broadcast to ``shape``; itself when it has that shape."""
        if self.shape(value) == tuple(shape):
            return value
        return self.step("Expand", [value, self.constant(shape)], shape, dtype=self.dtype(value))

    def unsqueeze(self, value: str, axis: int) -> str:
        """``value`` with a new dimension of size one at ``axis``."""
        shape = list(self.shape(value))
        shape.insert(axis, 1)
        return self.step("Unsqueeze", [value, self.constant([axis])], shape, dtype=self.dtype(value))

    def cast(self, value: str, dtype: DType) -> str:
        """``value`` with another element type; itself when it has that type."""
        if self.dtype(value) is dtype:
            return value
        return self.step("Cast", [value], self.shape(value), {"to": onnx_number(dtype)}, dtype)

    # ---- private -------------------------------------------------------------------------------------------------

    def _shape_of(self, made: Any) -> tuple[int, ...]:
        return () if made is None else self.shape_of_result(made)

    def _activation(self, name: str, shape: Sequence[int], dtype: DType) -> str:
        return self.builder.add_value(name, shape, dtype, ValueKind.ACTIVATION)

    def _fresh_name(self) -> str:
        self._steps += 1
        return f"{self.label}.step{self._steps}"

    def _append(
        self,
        op_type: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        attributes: Mapping[str, AttributeValue] | None,
        domain: str,
    ) -> None:
        self.builder.add_op(
            op_type, inputs, outputs, attributes or {}, domain=domain, source=self._source, scope=self._scope
        )
