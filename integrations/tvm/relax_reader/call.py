"""One call of a Relax operator: its arguments and attributes on one side, ONNX operations on the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from tvm import relax

from costmodel.errors import UnsupportedModelError
from costmodel.graph import DType
from costmodel.graph.lowering import Emitter, GraphBuilder
from costmodel.graph.op_graph import AttributeValue
from costmodel.integrations.tvm.relax_reader.tensor_types import dtype_of, integer, number, shape_of, sizes_of

__all__ = ["Call", "Names"]

Names = str | tuple["Names", ...]
"""What an expression stands for: the name of one value, or of several."""


class Call(Emitter):
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
        super().__init__(label, builder, source=label)
        self.expression = expression
        self.name = name
        self.names_of = names_of
        self._resolved = resolved

    # ---- operands ------------------------------------------------------------------------------------------------

    @property
    def arguments(self) -> tuple[Any, ...]:
        """All arguments as Relax has them."""
        return tuple(self.expression.args)

    def operand(self, index: int, dtype: DType | None = None) -> str:
        """The value of an argument, counted from the front.

        A number becomes a constant, of the result's element type unless ``dtype`` is given.
        """
        argument = self._resolved(self.arguments[index])
        scalar = number(argument)
        if scalar is not None:
            return self.constant(scalar, self.result_dtype if dtype is None else dtype)
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

    def number_operand(self, index: int) -> int | float:
        """An argument that is a number known before the run."""
        found = number(self._resolved(self.arguments[index]))
        if found is None:
            raise UnsupportedModelError(
                f"{self.label}: argument {index} of {self.name} is computed in the run, so the network has no fixed "
                "graph. Expected a number; leave that part out."
            )
        return found

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

    @property
    def returns_several(self) -> bool:
        """Whether it returns a tuple."""
        return isinstance(self.expression.ty, relax.TupleType)

    def shape_of_result(self, made: Any) -> tuple[int, ...]:
        """Sizes of a tensor type."""
        return shape_of(made, self.label)

    def dtype_of_result(self, made: Any) -> DType:
        """Element type of a tensor type."""
        return dtype_of(made)


def _listed(value: Any) -> Sequence[Any]:
    """A list's items; one that is no integer for anything that is no list."""
    return tuple(value) if hasattr(value, "__len__") else (None,)
