"""Calls of functions that a frontend wrote out in TIR already, because Relax has no operator for them."""

from __future__ import annotations

from tvm import relax

from costmodel.graph import DType
from costmodel.integrations.tvm.relax_reader.call import Call, Names
from costmodel.integrations.tvm.relax_reader.generic import generic, tensors
from costmodel.integrations.tvm.relax_reader.registry import lowers

__all__ = ["TIR_CALLS"]

TIR_CALLS = ("call_tir", "call_tir_inplace", "call_dps_packed", "call_pure_packed")
"""Operators that call a function that is none of Relax."""

_KNOWN = {
    "maximum": "Max",
    "minimum": "Min",
    "tile": "Tile",
    "flip": "Slice",
    "resize1d": "Resize",
    "resize2d": "Resize",
}
_PADS = {"pad": "constant", "mirror_pad": "reflect", "replicate_pad": "edge", "circular_pad": "wrap"}


@lowers(*TIR_CALLS)
def call_function(call: Call) -> Names:
    """What the function's name says, where it is one that the ONNX frontend writes; else an operation of its name.

    Of a padding or a tiling, only the shapes are known.
    """
    function = call.arguments[0]
    name = str(getattr(function, "name_hint", getattr(function, "global_symbol", call.name)))
    stem = name.rstrip("0123456789").rstrip("_")
    data = tensors(call)
    if isinstance(call.expression.ty, relax.TensorType):
        if stem in _PADS:
            pads = call.weight(f"{call.label}.pads", (2 * len(call.shape(data[0])),), DType.INT64)
            return call.result("Pad", [data[0], pads], {"mode": _PADS[stem]})
        if stem in _KNOWN:
            return call.result(_KNOWN[stem], data)
    return generic(call, name)
