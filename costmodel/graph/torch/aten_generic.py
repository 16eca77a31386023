"""What happens to a call that nothing is known about."""

from __future__ import annotations

from torch import fx

from costmodel.graph.op_graph import AttributeValue
from costmodel.graph.torch.call import Call, Names

__all__ = ["generic"]


def generic(call: Call) -> Names:
    """An operation in the operator's own domain: its operands, its plain arguments and the shapes of its results."""
    namespace, name = call.schema.name.split("::")
    operands: list[str] = []
    attributes: dict[str, AttributeValue] = {}
    for argument, value in call.arguments.items():
        listed = value if isinstance(value, list) else [value]
        if any(isinstance(item, fx.Node) for item in listed):
            operands.extend(operand for operand in map(call.operand, listed) if operand)
        elif isinstance(value, int | float | str):
            attributes[argument] = value
        elif listed and all(isinstance(item, int) for item in listed):
            attributes[argument] = tuple(listed)
    return call.result(name, operands, attributes, domain=namespace)
