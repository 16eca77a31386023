"""Images with their channels first, as ONNX has them."""

from __future__ import annotations

import logging
from typing import Any

import tvm
from tvm import relax

from costmodel.integrations.tvm.relax_reader.naming import with_unique_names

__all__ = ["channels_first", "order"]

logger = logging.getLogger(__name__)

_CONV2D = "relax.nn.conv2d"
_CONVERTED = {_CONV2D: ["NCHW", "OIHW"]}
"""What TVM's own pass is told; it gives up on other convolutions."""


def channels_first(module: Any, name: str) -> Any:
    """A module in which the two-dimensional convolutions of a function have their channels first.

    TVM's own pass does it, and what stands between two convolutions follows suit: the network is the same, with one
    transposition where an image comes in and one where it leaves.  A module that has them already is returned as it is,
    and so is one that the pass cannot take.
    """
    if not any(_is_other_way(call) for call in _calls(module[name])):
        return module
    try:
        return relax.transform.ConvertLayout(_CONVERTED)(with_unique_names(_without_others(module, name), name))
    except Exception as error:  # TVM's exceptions share no base class but Exception
        logger.warning(
            "%s: TVM cannot put the channels of its images first (%s); transpositions around each convolution make it "
            "look slower than it is.",
            name,
            str(error).strip().splitlines()[-1:] or type(error).__name__,
        )
        return module


def order(layout: str, wanted: str) -> tuple[int, ...]:
    """The permutation that takes a tensor of ``layout`` to ``wanted``, letters of which name its dimensions."""
    return tuple(layout.index(dimension) for dimension in wanted)


def _without_others(module: Any, name: str) -> Any:
    """A module without the other functions that can be called from outside: the pass would go through them too."""
    functions = {
        var: function
        for var, function in module.functions.items()
        if var.name_hint == name or "global_symbol" not in (function.attrs or {})
    }
    return tvm.IRModule(functions, attrs=module.attrs, global_infos=module.global_infos)


def _calls(function: Any) -> list[Any]:
    blocks = function.body.blocks if isinstance(function.body, relax.SeqExpr) else ()
    return [binding.value for block in blocks for binding in block.bindings if isinstance(binding.value, relax.Call)]


def _is_other_way(call: Any) -> bool:
    # Weights of another layout alone are transposed once and for all.
    return str(getattr(call.op, "name", "")) == _CONV2D and str(call.attrs.data_layout) != _CONVERTED[_CONV2D][0]
