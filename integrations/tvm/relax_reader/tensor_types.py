"""Shapes and element types as Relax has them."""

from __future__ import annotations

from typing import Any

from tvm import relax, tirx

from costmodel.errors import UnsupportedModelError
from costmodel.graph import DType
from costmodel.graph.lowering import named_dtype

__all__ = ["dtype_of", "integer", "number", "shape_of", "sizes_of"]


def dtype_of(tensor_type: Any) -> DType:
    """Our name of the element type of a tensor type; the 8-bit float formats share one."""
    return named_dtype(str(tensor_type.dtype))


def shape_of(tensor_type: Any, what: str) -> tuple[int, ...]:
    """Concrete sizes of a tensor type.

    Args:
        tensor_type: A ``relax.TensorType``.
        what: What has that type, for people.

    Raises:
        UnsupportedModelError: A size is symbolic, or is not known before the run.
    """
    if tensor_type.shape is None:
        raise UnsupportedModelError(
            f"{what} has the type {tensor_type}, whose shape depends on data, so the network has no fixed graph. "
            "Expected sizes that follow from those of the inputs; leave that part out."
        )
    return sizes_of(tensor_type.shape, what)


def sizes_of(shape: Any, what: str) -> tuple[int, ...]:
    """Concrete sizes of a shape expression, as :func:`shape_of` has them."""
    if not isinstance(shape, relax.ShapeExpr):
        raise UnsupportedModelError(
            f"{what} takes its shape from {shape}, which is computed in the run. Expected a shape that is written down."
        )
    sizes = tuple(integer(size) for size in shape.values)
    known = tuple(size for size in sizes if size is not None)
    if len(known) < len(sizes):
        raise UnsupportedModelError(
            f"{what} has the symbolic shape {shape}; expected numbers. Give the sizes first, for example: "
            "relax.transform.BindSymbolicVars({'n': 1})(module)"
        )
    return known


def integer(expression: Any) -> int | None:
    """A constant integer; ``None`` for anything else."""
    if isinstance(expression, int):
        return expression
    return int(expression.value) if isinstance(expression, tirx.IntImm) else None


def number(expression: Any) -> int | float | None:
    """A constant number; ``None`` for anything else."""
    if isinstance(expression, int | float):
        return expression
    return expression.value if isinstance(expression, tirx.IntImm | tirx.FloatImm) else None
