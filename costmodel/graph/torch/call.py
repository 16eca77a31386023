"""One call of an ATen operator: its arguments by name on one side, ONNX operations on the other."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import cast

import torch
from torch import fx

from costmodel.graph.dtypes import DType
from costmodel.graph.lowering import Emitter, GraphBuilder, Names
from costmodel.graph.op_graph import AttributeValue
from costmodel.graph.torch.tensor_types import concrete, dtype_of, shape_of

__all__ = ["Call", "Names", "operator_name", "scope_of"]


class Call(Emitter):
    """What a lowering works on: it asks for arguments by their ATen names and emits ONNX operations.

    Args:
        node: The ``call_function`` node; its target is an ``OpOverload``.
        builder: Where operations and values go.
        names: The values that the nodes before this one stand for.
        region: Put in front of the names of values, to tell apart those of several graphs.
    """

    def __init__(self, node: fx.Node, builder: GraphBuilder, names: Mapping[fx.Node, Names], region: str = "") -> None:
        super().__init__(f"{region}{node.name}", builder, source=node.name, scope=scope_of(node))
        self.node = node
        self.names = names

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

    # ---- results -------------------------------------------------------------------------------------------------

    @cached_property
    def returned(self) -> tuple[torch.Tensor | None, ...]:
        """Fake tensors of the results, in order; ``None`` for those that are no tensors."""
        value = self.node.meta.get("val")
        listed = value if isinstance(value, list | tuple) else (value,)
        return tuple(item if isinstance(item, torch.Tensor) else None for item in listed)

    @property
    def returns_several(self) -> bool:
        """Whether the node returns a list or a tuple."""
        return isinstance(self.node.meta.get("val"), list | tuple)

    def shape_of_result(self, made: torch.Tensor) -> tuple[int, ...]:
        """Sizes of a fake tensor."""
        return shape_of(made)

    def dtype_of_result(self, made: torch.Tensor) -> DType:
        """Element type of a fake tensor."""
        return dtype_of(made.dtype)

    def is_read(self, index: int) -> bool:
        """Whether anybody reads the result of this ``index``."""
        return any(user.target is operator.getitem and user.args[1] == index for user in self.node.users)

    def sole_result(
        self, op_type: str, inputs: Sequence[str], attributes: Mapping[str, AttributeValue] | None = None
    ) -> Names:
        """As :meth:`result`, of a node whose results after the first (statistics, indices) nobody reads: not made."""
        if len(self.returned) == 1:
            return self.result(op_type, inputs, attributes)
        return self.step(op_type, inputs, self.result_shape, attributes), *[""] * (len(self.returned) - 1)

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
