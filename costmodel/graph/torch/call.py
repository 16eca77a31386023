"""One call of an ATen operator: its arguments by name on one side, ONNX operations on the other."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx

from costmodel.graph.dtypes import DType
from costmodel.graph.op_graph import AttributeValue, ValueKind
from costmodel.graph.torch.builder import GraphBuilder
from costmodel.graph.torch.tensor_types import concrete, dtype_of, numpy_array, onnx_number, shape_of

__all__ = ["Call", "Names", "operator_name", "scope_of"]

Names = str | tuple[str, ...]
"""What an fx node stands for: the name of one value, or of several."""


class Call:
    """What a lowering works on: it asks for arguments by their ATen names and emits ONNX operations.

    Args:
        node: The ``call_function`` node; its target is an ``OpOverload``.
        builder: Where operations and values go.
        names: The values that the nodes before this one stand for.
        region: Put in front of the names of values, to tell apart those of several graphs.
    """

    def __init__(self, node: fx.Node, builder: GraphBuilder, names: Mapping[fx.Node, Names], region: str = "") -> None:
        self.node = node
        self.label = f"{region}{node.name}"
        self.builder = builder
        self.names = names
        self._steps = 0

    @property
    def schema(self) -> torch.FunctionSchema:
        """The operator's signature."""
        return cast("torch._ops.OpOverload", self.node.target)._schema

    @property
    def name(self) -> str:
        """Name of the operator, see :func:`operator_name`."""
        return operator_name(self.schema)

    # ---- arguments -----------------------------------------------------------------------------------------------

    @cached_property
    def arguments(self) -> dict[str, object]:
        """Every argument under its name in the schema, defaults filled in, symbolic numbers resolved."""
        bound: dict[str, object] = {}
        for position, argument in enumerate(self.schema.arguments):
            if position < len(self.node.args) and not argument.kwarg_only:
                given: object = self.node.args[position]
            elif argument.name in self.node.kwargs:
                given = self.node.kwargs[argument.name]
            else:
                given = argument.default_value
            bound[argument.name] = _resolved(given)
        return bound

    def has(self, name: str) -> bool:
        """Whether the argument exists in this overload and is not ``None``."""
        return self.arguments.get(name) is not None

    def tensor(self, name: str) -> str:
        """The value passed as ``name``: a scalar becomes a constant, ``None`` the empty name."""
        return self.operand(self.arguments.get(name))

    def operand(self, argument: object) -> str:
        """The value that an argument stands for, as :meth:`tensor` has it."""
        if argument is None:
            return ""
        if isinstance(argument, fx.Node):
            name = self.names[argument]
            return name if isinstance(name, str) else name[0]
        return self.constant(argument, self._scalar_dtype(argument))

    def tensors(self, *names: str) -> list[str]:
        """The values passed under these names, one by one as :meth:`tensor` has them."""
        return [self.tensor(name) for name in names]

    def tensor_list(self, name: str) -> list[str]:
        """The values in a list argument; missing entries are empty names."""
        return [self.operand(item) for item in cast("Sequence[object]", self.arguments[name])]

    def integer(self, name: str, default: int = 0) -> int:
        """An integer argument; ``default`` where it is ``None`` or absent."""
        value = self.arguments.get(name)
        return default if value is None else int(cast("int", value))

    def number(self, name: str, default: float = 0.0) -> float:
        """A number; ``default`` where it is ``None`` or absent."""
        value = self.arguments.get(name)
        return default if value is None else float(cast("float", value))

    def flag(self, name: str) -> bool:
        """A boolean argument; an absent one is false."""
        return bool(self.arguments.get(name))

    def text(self, name: str, default: str = "") -> str:
        """A string argument; ``default`` where it is ``None`` or absent."""
        value = self.arguments.get(name)
        return default if value is None else str(value)

    def integers(self, name: str, length: int | None = None) -> tuple[int, ...]:
        """A list of integers; a lone number is repeated to ``length``, ``None`` is the empty list."""
        value = self.arguments.get(name)
        if value is None:
            return ()
        listed = (value,) if isinstance(value, int) else tuple(cast("Sequence[int]", value))
        if length is not None and len(listed) == 1:
            listed *= length
        return tuple(int(item) for item in listed)

    def axis(self, name: str, rank: int | None = None) -> int:
        """A dimension counted from the front, of a tensor of ``rank`` dimensions (by default the first argument's)."""
        return self.integer(name) % max(len(self.input_shape) if rank is None else rank, 1)

    def axes(self, name: str) -> tuple[int, ...]:
        """Dimensions of the first argument counted from the front; all of them for ``None`` or an empty list."""
        rank = len(self.input_shape)
        return tuple(dim % max(rank, 1) for dim in self.integers(name)) or tuple(range(rank))

    @cached_property
    def first(self) -> str:
        """The value passed as the first argument."""
        return self.operand(next(iter(self.arguments.values())))

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of the first argument."""
        return self.shape(self.first)

    def shape(self, value: str) -> tuple[int, ...]:
        """Shape of a value."""
        return self.builder.shape(value)

    def dtype(self, value: str) -> DType:
        """Element type of a value."""
        return self.builder.value(value).dtype

    # ---- results -------------------------------------------------------------------------------------------------

    @cached_property
    def returned(self) -> tuple[torch.Tensor | None, ...]:
        """Fake tensors of the results, in order; ``None`` for those that are no tensors."""
        value = self.node.meta.get("val")
        listed = value if isinstance(value, list | tuple) else (value,)
        return tuple(item if isinstance(item, torch.Tensor) else None for item in listed)

    @property
    def result_shape(self) -> tuple[int, ...]:
        """Shape of the first result."""
        first = self.returned[0]
        return () if first is None else shape_of(first)

    @property
    def result_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of all results."""
        return tuple(() if tensor is None else shape_of(tensor) for tensor in self.returned)

    def is_read(self, index: int) -> bool:
        """Whether anybody reads the result of this ``index``."""
        return any(user.target is operator.getitem and user.args[1] == index for user in self.node.users)

    @property
    def result_dtype(self) -> DType:
        """Element type of the first result."""
        first = self.returned[0]
        return DType.UNKNOWN if first is None else dtype_of(first.dtype)

    # ---- emission ------------------------------------------------------------------------------------------------

    def result(
        self,
        op_type: str,
        inputs: Sequence[str],
        attributes: Mapping[str, AttributeValue] | None = None,
        *,
        domain: str = "",
    ) -> Names:
        """Emit the operation that makes what the node returns; a tuple of names when the node returns a tuple."""
        several = isinstance(self.node.meta.get("val"), list | tuple)
        outputs = [""] * len(self.returned)
        for index, tensor in enumerate(self.returned):
            if tensor is not None:
                name = f"{self.label}.{index}" if several else self.label
                outputs[index] = self._activation(name, shape_of(tensor), dtype_of(tensor.dtype))
        self._append(op_type, inputs, outputs, attributes, domain)
        return tuple(outputs) if several else outputs[0]

    def sole_result(
        self, op_type: str, inputs: Sequence[str], attributes: Mapping[str, AttributeValue] | None = None
    ) -> Names:
        """As :meth:`result`, of a node whose results after the first (statistics, indices) nobody reads: not made."""
        if len(self.returned) == 1:
            return self.result(op_type, inputs, attributes)
        return self.step(op_type, inputs, self.result_shape, attributes), *[""] * (len(self.returned) - 1)

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
        """The node's own result as a weight; ``data`` may be ``None`` for one whose elements do not matter."""
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

    def _scalar_dtype(self, scalar: object) -> DType:
        """Element type of the first tensor argument, which Python scalars follow unless they are of a wider kind."""
        followed = next((item for item in self.arguments.values() if isinstance(item, fx.Node)), None)
        dtype = DType.BOOL if followed is None else self.dtype(self.operand(followed))
        if isinstance(scalar, complex):
            return dtype if dtype in _COMPLEX else DType.COMPLEX64
        if isinstance(scalar, float):
            return dtype if dtype.is_float else DType.FLOAT32
        return DType.INT64 if dtype is DType.BOOL and not isinstance(scalar, bool) else dtype

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
            op_type,
            inputs,
            outputs,
            attributes or {},
            domain=domain,
            source=self.node.name,
            scope=scope_of(self.node),
        )


def operator_name(schema: torch.FunctionSchema) -> str:
    """Name without namespace, overload and in-place underscore, e.g. ``"add"`` for ``aten.add_.Tensor``."""
    name = schema.name.split("::")[1]
    return name.rstrip("_") if schema.is_mutable else name


def scope_of(node: fx.Node) -> str:
    """Path of the innermost module the node was written in, e.g. ``"layer1.0.conv1"``."""
    stack = node.meta.get("nn_module_stack")
    return str(list(stack.values())[-1][0]) if stack else ""


def _resolved(argument: object) -> object:
    """``argument`` with numbers in place of symbolic numbers and of the nodes that compute them."""
    if isinstance(argument, list | tuple):
        return [_resolved(item) for item in argument]
    if isinstance(argument, fx.Node):
        value = argument.meta.get("val")
        if isinstance(value, int | float | torch.SymInt | torch.SymFloat | torch.SymBool):
            return concrete(value)
        return argument
    return concrete(argument)


_COMPLEX = (DType.COMPLEX64, DType.COMPLEX128)
