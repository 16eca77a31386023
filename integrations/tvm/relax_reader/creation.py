"""Tensors made from nothing: known before the run, so each is a weight and costs no operation."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np
from numpy.typing import NDArray

from costmodel.graph.op_graph import MAX_KEPT_ELEMENTS
from costmodel.integrations.tvm.relax_reader.call import Call, Names
from costmodel.integrations.tvm.relax_reader.registry import lowers
from costmodel.integrations.tvm.relax_reader.tensor_types import number

__all__: list[str] = []


@lowers("zeros", "zeros_like")
def zeros(call: Call) -> Names:
    """All zero."""
    return _literal(call, lambda: np.zeros(call.result_shape))


@lowers("ones", "ones_like")
def ones(call: Call) -> Names:
    """All one."""
    return _literal(call, lambda: np.ones(call.result_shape))


@lowers("full", "full_like")
def full(call: Call) -> Names:
    """One number everywhere, which is computed in the run or known before."""
    return call.expand(call.operand(1), call.result_shape)


@lowers("arange")
def arange(call: Call) -> Names:
    """Numbers in equal steps."""
    start, step = (number(call.arguments[index]) for index in (0, 2))
    if start is None or step is None:
        return call.literal(None)
    return _literal(call, lambda: start + step * np.arange(call.result_shape[0]))


@lowers("eye", "eye_like")
def eye(call: Call) -> Names:
    """Ones on a diagonal."""
    rows, columns = call.result_shape
    offset = number(call.arguments[-1])
    return _literal(call, lambda: np.eye(rows, columns, int(offset or 0)))


@lowers("hamming_window")
def unknown_elements(call: Call) -> Names:
    """A constant of which only the shape matters."""
    return call.literal(None)


def _literal(call: Call, elements: Callable[[], NDArray[np.generic]]) -> Names:
    """The result as a weight, with its elements where they are few."""
    return call.literal(elements() if prod(call.result_shape) <= MAX_KEPT_ELEMENTS else None)
