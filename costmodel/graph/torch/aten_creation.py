"""Tensors made from nothing: known before the run, so each is a weight and costs no operation."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np
from numpy.typing import NDArray

from costmodel.graph.op_graph import MAX_KEPT_ELEMENTS
from costmodel.graph.torch.call import Call, Names
from costmodel.graph.torch.registry import lowers

__all__: list[str] = []


@lowers("zeros", "zeros_like", "new_zeros", "zero")
@lowers("empty", "empty_like", "new_empty", "empty_strided", "new_empty_strided", "empty_permuted")
def zeros(call: Call) -> Names:
    """All zero, as is what an uninitialised tensor holds before somebody fills it."""
    return _literal(call, lambda: np.zeros(call.result_shape))


@lowers("ones", "ones_like", "new_ones")
def ones(call: Call) -> Names:
    """All one."""
    return _literal(call, lambda: np.ones(call.result_shape))


@lowers("full", "full_like", "new_full", "fill", "scalar_tensor")
def full(call: Call) -> Names:
    """One number everywhere; a number that is a tensor is only known to be of that shape."""
    name = next(name for name in ("fill_value", "value", "s") if name in call.arguments)
    number = call.arguments[name]
    if isinstance(number, int | float):
        return _literal(call, lambda: np.full(call.result_shape, number))
    return call.expand(call.tensor(name), call.result_shape)


@lowers("arange")
def arange(call: Call) -> Names:
    """Numbers in equal steps."""
    start, step = call.number("start", 0.0), call.number("step", 1.0)
    return _literal(call, lambda: start + step * np.arange(call.result_shape[0]))


@lowers("linspace")
def linspace(call: Call) -> Names:
    """Numbers in equal steps between two ends."""
    return _literal(call, lambda: np.linspace(call.number("start"), call.number("end"), call.result_shape[0]))


@lowers("eye")
def eye(call: Call) -> Names:
    """The identity matrix."""
    rows, columns = call.result_shape
    return _literal(call, lambda: np.eye(rows, columns))


@lowers("tril_indices", "triu_indices", "logspace", "hann_window", "hamming_window", "blackman_window")
def unknown_elements(call: Call) -> Names:
    """A constant of which only the shape matters."""
    return call.literal(None)


def _literal(call: Call, elements: Callable[[], NDArray[np.generic]]) -> Names:
    """The result as a weight, with its elements where they are few."""
    if prod(call.result_shape) > MAX_KEPT_ELEMENTS:
        return call.literal(None)
    return call.literal(elements())
