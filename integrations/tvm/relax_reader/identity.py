"""Calls that change no element when a network only predicts: dropout, hints to the compiler."""

from __future__ import annotations

from costmodel.integrations.tvm.relax_reader.call import Call, Names
from costmodel.integrations.tvm.relax_reader.registry import lowers

__all__: list[str] = []


@lowers(
    "builtin.stop_lift_params",
    "grad.end_checkpoint",
    "grad.no_grad",
    "grad.start_checkpoint",
    "hint_on_device",
    "memory.ensure_zero_offset",
    "to_vdevice",
)
def same(call: Call) -> Names:
    """The first operand under its own name."""
    return call.first


@lowers("nn.dropout")
def dropout(call: Call) -> Names:
    """The input, and for the mask the input again: nobody reads it."""
    return call.first, call.first
