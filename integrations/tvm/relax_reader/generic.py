"""What happens to a call that nothing is known about."""

from __future__ import annotations

from typing import Any

from tvm import relax

from costmodel.integrations.tvm.relax_reader.call import Call, Names

__all__ = ["generic", "tensors"]

_DOMAIN = "relax"


def generic(call: Call, name: str = "") -> Names:
    """An operation in Relax's own domain, called ``name`` or as the operator.

    It has the operator's operands and plain attributes, and results of its shapes.
    """
    return call.result(name or call.name, tensors(call), call.plain_attributes(), domain=_DOMAIN)


def tensors(call: Call) -> list[str]:
    """The values of all arguments that are tensors, those in tuples one by one."""
    return [name for argument in call.arguments for name in _named(call, argument)]


def _named(call: Call, argument: Any) -> list[str]:
    if isinstance(argument.ty, relax.TensorType):
        return [str(call.names_of(argument))]
    if isinstance(argument.ty, relax.TupleType) and all(isinstance(of, relax.TensorType) for of in argument.ty.fields):
        names = call.names_of(argument)
        return [names] if isinstance(names, str) else [str(name) for name in names]
    return []
