"""Calls that change no element: copies, detachments, dropout at inference, changes of device or element type."""

from __future__ import annotations

from costmodel.graph.lowering import onnx_number
from costmodel.graph.torch.call import Call, Names
from costmodel.graph.torch.registry import lowers

__all__: list[str] = []


@lowers(
    "alias",
    "alias_copy",
    "alpha_dropout",
    "clone",
    "contiguous",
    "detach",
    "detach_copy",
    "dropout",
    "feature_alpha_dropout",
    "feature_dropout",
    "lift",
    "lift_fresh",
    "lift_fresh_copy",
    "positive",
    "resolve_conj",
    "resolve_neg",
)
def same(call: Call) -> Names:
    """The first argument under its own name: nothing is done to it when a network only predicts."""
    return call.first


@lowers("native_dropout")
def native_dropout(call: Call) -> Names:
    """The input and, as nobody reads it at inference, no mask."""
    return call.first, ""


@lowers("to", "_to_copy", "type_as")
def cast(call: Call) -> Names:
    """``Cast`` where the element type changes, nothing where only device, layout or memory format would."""
    if call.dtype(call.first) is call.result_dtype:
        return call.first
    return call.result("Cast", [call.first], {"to": onnx_number(call.result_dtype)})


@lowers("copy")
def copy_into(call: Call) -> Names:
    """``copy_(self, src)``: from now on ``self`` is ``src``, broadcast."""
    source = call.cast(call.tensor("src"), call.result_dtype)
    return call.expand(source, call.result_shape)
