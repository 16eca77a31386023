"""Numbers in fewer bits and back."""

from __future__ import annotations

from costmodel.integrations.tvm.relax_reader.call import Call, Names
from costmodel.integrations.tvm.relax_reader.registry import lowers

__all__: list[str] = []


@lowers("quantize", "dequantize")
def convert(call: Call) -> Names:
    """``QuantizeLinear`` or ``DequantizeLinear``, with one scale or one a channel."""
    op_type = "QuantizeLinear" if call.name == "quantize" else "DequantizeLinear"
    return call.result(op_type, call.operands(0, 1, 2), {"axis": call.axis("axis")})
