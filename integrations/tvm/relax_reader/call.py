"""One call of a Relax operator: its arguments and attributes on one side, ONNX operations on the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm import relax

from costmodel.errors import UnsupportedModelError
from costmodel.graph import DType, ValueKind
from costmodel.graph.op_graph import AttributeValue
from costmodel.graph.torch.builder import GraphBuilder
from costmodel.graph.torch.tensor_types import numpy_array, onnx_number
from costmodel.integrations.tvm.relax_reader.tensor_types import dtype_of, integer, number, shape_of, sizes_of

__all__ = ["Call", "Names"]

Names = str | tuple["Names", ...]
"""What an expression stands for: the name of one value, or of several."""


class Call:
    """What a lowering works on: it asks for operands and attributes and emits ONNX operations.

    Args:
        expression: The ``relax.Call``.
        name: The operator, without ``relax.`` in front.
        label: What the result is called; unique.
        builder: Where operations and values go.
        names_of: Says which values an expression stands for.
        resolved: An expression in place of the variable that it is bound to.
    """

    def __init__(
        self,
        expression: Any,
        name: str,
        label: str,
        builder: GraphBuilder,
        names_of: Callable[[Any], Names],
        resolved: Callable[[Any], Any],
    ) -> None:
        self.expression = expression
        self.name = name
        self.label = label
        self.builder = builder
        self.names_of = names_of
        self._resolved = resolved
        self._steps = 0

    # ---- operands ------------------------------------------------------------------------------------------------

    @property
    def arguments(self) -> tuple[Any, ...]:
        """All arguments as Relax has them."""
        return tuple(self.expression.args)

    def operand(self, index: int) -> str:
        """The value of an argument, counted from the front; a number becomes a constant of the result's type."""
        argument = self._resolved(self.arguments[index])
        scalar = number(argument)
        if scalar is not None:
            return self.constant(scalar, self.result_dtype)
        names = self.names_of(argument)
        if not isinstance(names, str):
            raise UnsupportedModelError(
                f"{self.label}: argument {index} of {self.name} is a tuple; expected a tensor, as the operator wants."
            )
        return names

    def operands(self, *indices: int) -> list[str]:
        """The values of several arguments; of all, if none is named."""
        return [self.operand(index) for index in indices or range(len(self.arguments))]

    def operand_list(self, index: int) -> list[str]:
        """The values in an argument that is a tuple."""
        names = self.names_of(self.arguments[index])
        return [names] if isinstance(names, str) else [str(name) for name in names]

    @cached_property
    def first(self) -> str:
        """The value of the first argument."""
        return self.operand(0)

    def integer_operand(self, index: int) -> int:
        """An argument that is a number known before the run."""
        found = number(self._resolved(self.arguments[index]))
        if found is None:
            raise UnsupportedModelError(
                f"{self.label}: argument {index} of {self.name} is computed in the run, so the network has no fixed "
                "graph. Expected a number; leave that part out."
            )
        return int(found)

    def integer_list_operand(self, index: int) -> tuple[int, ...]:
        """An argument that is a tuple, or a shape, of numbers known before the run."""
        argument = self._resolved(self.arguments[index])
        if isinstance(argument, relax.ShapeExpr):
            return sizes_of(argument, self.label)
        found = [integer(self._resolved(field)) for field in getattr(argument, "fields", (None,))]
        known = [size for size in found if size is not None]
        if len(known) < len(found):
            raise UnsupportedModelError(
                f"{self.label}: argument {index} of {self.name} is computed in the run, so the network has no fixed "
                "graph. Expected numbers; leave that part out."
            )
        return tuple(known)

    # ---- attributes ----------------------------------------------------------------------------------------------

    def has(self, name: str) -> bool:
        """Whether the attribute exists and is not ``None``."""
        return getattr(self.expression.attrs, name, None) is not None

    def integer(self, name: str, default: int = 0) -> int:
        """An integer attribute; ``default`` where it is ``None`` or absent."""
        return int(getattr(self.expression.attrs, name)) if self.has(name) else default

    def number(self, name: str, default: float = 0.0) -> float:
        """A number; ``default`` where it is ``None`` or absent."""
        found = number(getattr(self.expression.attrs, name)) if self.has(name) else None
        return default if found is None else float(found)

    def flag(self, name: str) -> bool:
        """A boolean attribute; an absent one is false."""
        return bool(getattr(self.expression.attrs, name, False))

    def text(self, name: str, default: str = "") -> str:
        """A string attribute; ``default`` where it is ``None`` or absent."""
        return str(getattr(self.expression.attrs, name)) if self.has(name) else default

    def integers(self, name: str) -> tuple[int, ...]:
        """A list of integers, or a lone one; empty for ``None``."""
        if not self.has(name):
            return ()
        value = getattr(self.expression.attrs, name)
        lone = integer(value)
        return (lone,) if lone is not None else tuple(int(item) for item in value)

    def axis(self, name: str, rank: int | None = None) -> int:
        """A dimension counted from the front, of a tensor of ``rank`` dimensions (by default the first operand's)."""
        return self.integer(name) % max(len(self.input_shape) if rank is None else rank, 1)

    def axes(self, name: str) -> tuple[int, ...]:
        """Dimensions of the first operand counted from the front; all of them for ``None``."""
        rank = len(self.input_shape)
        if not self.has(name):
            return tuple(range(rank))
        return tuple(dim % max(rank, 1) for dim in self.integers(name))

    def plain_attributes(self) -> dict[str, AttributeValue]:
        """All attributes that are numbers, strings or lists of integers, as the operator calls them."""
        found: dict[str, AttributeValue] = {}
        info = getattr(type(self.expression.attrs), "__tvm_ffi_type_info__", None)
        for field in info.fields if info is not None else ():
            value = getattr(self.expression.attrs, field.name)
            scalar = number(value)
            if scalar is not None:
                found[field.name] = scalar
            elif isinstance(value, str):
                found[field.name] = str(value)
            elif value is not None and all(integer(item) is not None for item in _listed(value)):
                found[field.name] = tuple(int(item) for item in _listed(value))
        return found

    # ---- shapes and types ----------------------------------------------------------------------------------------

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of the first operand."""
        return self.shape(self.first)

    def shape(self, value: str) -> tuple[int, ...]:
        """Shape of a value."""
        return self.builder.shape(value)

    def dtype(self, value: str) -> DType:
        """Element type of a value."""
        return self.builder.value(value).dtype

    @cached_property
    def returned(self) -> tuple[Any, ...]:
        """Tensor types of the results, in order."""
        made = self.expression.ty
        types = tuple(made.fields) if isinstance(made, relax.TupleType) else (made,)
        for of_one in types:
            if not isinstance(of_one, relax.TensorType):
                raise UnsupportedModelError(
                    f"{self.label}: {self.name} returns {made}; expected tensors, or a tuple of them."
                )
        return types

    @cached_property
    def result_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of all results."""
        return tuple(shape_of(of_one, self.label) for of_one in self.returned)

    @property
    def result_shape(self) -> tuple[int, ...]:
        """Shape of the first result."""
        return self.result_shapes[0]

    @property
    def result_dtype(self) -> DType:
        """Element type of the first result."""
        return dtype_of(self.returned[0])

    # ---- emission ------------------------------------------------------------------------------------------------

    def result(
        self,
        op_type: str,
        inputs: Sequence[str],
        attributes: Mapping[str, AttributeValue] | None = None,
        *,
        domain: str = "",
    ) -> Names:
        """Emit the operation that makes what the call returns; a tuple of names when it returns a tuple."""
        several = isinstance(self.expression.ty, relax.TupleType)
        outputs = [
            self._activation(f"{self.label}.{index}" if several else self.label, shape, dtype_of(of_one))
            for index, (shape, of_one) in enumerate(zip(self.result_shapes, self.returned, strict=True))
        ]
        self._append(op_type, inputs, outputs, attributes, domain)
        return tuple(outputs) if several else outputs[0]

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
        """The result as a weight; ``data`` may be ``None`` for one whose elements do not matter."""
        dtype = self.result_dtype
        elements = None if data is None else numpy_array(data, dtype)
        return self.builder.add_value(self.label, self.result_shape, dtype, ValueKind.WEIGHT, elements)

    def weight(self, name: str, shape: Sequence[int], dtype: DType) -> str:
        """A weight of which only the shape is known."""
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
        self.builder.add_op(op_type, inputs, outputs, attributes or {}, domain=domain, source=self.label)


def _listed(value: Any) -> Sequence[Any]:
    """A list's items; one that is no integer for anything that is no list."""
    return tuple(value) if hasattr(value, "__len__") else (None,)
